#pragma once

#include <memory>
#include <span>
#include <string>

#include "base/file.h"
#include "base/hash.h"
#include "plan/plan.h"
#include "tensor/tensor.h"

namespace tenon::plan {

// A plan file opened for use. The structure is verified fully when it is opened; each 4 MiB chunk
// of the weights against its digest before its first use. Thread-safe.
class PlanFile {
 public:
  // Throws ErrorCode::BadInput (not a plan, damaged, truncated), WrongPlan (format version), Io.
  static std::shared_ptr<const PlanFile> open(const std::string& path);
  virtual ~PlanFile() = default;

  virtual const Plan& plan() const = 0;
  virtual const Evidence& evidence() const = 0;
  // The plan's identity: a digest of everything except the evidence.
  virtual Digest identity() const = 0;
  virtual const std::string& path() const = 0;

  // Borrows the weight's mapped bytes, after verifying the chunks they lie in.
  virtual TensorView constant(size_t index) const = 0;
  // Verifies every chunk now, on all cores.
  virtual void verify_all_weights() const = 0;
  // For a device that reads the weights where they are mapped, whole, in every run.
  virtual void use_large_pages() const {}
  // Throws where the file was cut or rewritten since it was opened. A plan that was replaced by
  // another (renamed over) stays valid.
  virtual void verify_unchanged() const = 0;

  struct Section {
    std::string name;
    int64_t offset = 0, bytes = 0;
    Digest digest;
  };
  virtual const std::vector<Section>& sections() const = 0;
};

// Writes a plan whole or not at all. Weights go in the order of plan.constants, one at a time:
//   PlanWriter writer(path, plan);           // offsets of plan.constants are computed here
//   for (...) writer.write_constant(i, bytes);
//   writer.finish();                          // sections, digests, sync; still a temporary file
//   ... the gate opens writer.temporary_path() ...
//   writer.write_evidence(evidence); writer.commit();
class PlanWriter {
 public:
  PlanWriter(std::string path, Plan plan);
  ~PlanWriter();
  const Plan& plan() const;
  void write_constant(size_t index, std::span<const std::byte> bytes);
  void finish();
  const std::string& temporary_path() const;
  // Replaces the trailing evidence section; may be called after finish(), before commit(). A
  // PlanFile opened on the temporary before this call has changed on disk; its weights stay
  // readable.
  void write_evidence(const Evidence& evidence);
  void commit();
  // Commits under another name in the same folder, leaving what stands at the target (a failed plan
  // kept for study).
  void commit_as(const std::string& path);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Rewrites the trailing evidence section of a finished plan (a copy is made whole, then renamed).
void replace_evidence(const std::string& path, const Evidence& evidence);

}  // namespace tenon::plan
