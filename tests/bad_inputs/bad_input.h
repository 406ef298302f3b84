#pragma once

#include <cstdint>
#include <functional>
#include <ostream>
#include <string>
#include <vector>

#include "base/error.h"

namespace tenon::bad_inputs {

// A folder for the files of one case; removed with everything in it.
class Folder {
 public:
  Folder();
  ~Folder();
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  const std::string& path() const { return path_; }
  std::string file(const std::string& name) const { return path_ + "/" + name; }
  // Writes a file, and the folders it needs; returns its path.
  std::string write(const std::string& name, const std::string& bytes) const;
  // Every entry with its size: what must not change while an input is refused.
  std::vector<std::string> listing() const;

 private:
  std::string path_;
};

// How the house answers the input; the letters are those of the published matrix of bad inputs.
enum class Expect {
  Refuse,          // R: an error that names file and place, fast, in little memory, nothing written
  Accept,          // A
  Warn,            // W: accepted with one warning
  RefuseOrAccept,  // either, but never a crash
};

// One input: the generator and what must happen. Each runs in a process of its own.
struct Case {
  std::string row;   // "S01"
  std::string name;  // "SevenBytes"
  Expect expect = Expect::Refuse;
  // Makes the files; returns the path that is opened.
  std::function<std::string(const Folder&)> make;
  // What the error or the warning must contain, besides the file.
  std::string message;
  // Opens the path and uses all of it; throws tenon::Error where it refuses.
  std::function<void(const std::string& path)> open;
  std::vector<ErrorCode> codes = {ErrorCode::BadInput};
  double most_seconds = 2;
  // The case itself changes files while they are open.
  bool changes_files = false;

  friend std::ostream& operator<<(std::ostream& out, const Case& c) {
    return out << c.row << c.name;
  }
};

// What happened to one input in its process.
struct Outcome {
  int signal = 0;       // that killed the process, or 0
  int code = 0;         // 0: accepted; else the ErrorCode
  std::string message;  // of the error
  std::string log;      // what was written to stderr
  bool sealed = false;  // could start no process, open no socket and change no file
  double seconds = 0;   // of processor time: the machine may be busy
  int64_t growth = 0;   // bytes of peak memory above the start
};
Outcome run_alone(const Case& input, const std::string& path);

// The size of a file, or of all files in a folder.
int64_t bytes_on_disk(const std::string& path);

// The lists, one a file.
std::vector<Case> safetensors_cases();     // S01 to S15, S25
std::vector<Case> header_field_cases();    // S16 to S24
std::vector<Case> folder_cases();          // S26 to S30
std::vector<Case> config_cases();          // C01 to C05
std::vector<Case> pickle_code_cases();     // P01 to P03
std::vector<Case> pickle_value_cases();    // P04 to P07, P10 to P14, P23, P24
std::vector<Case> zip_cases();             // P08, P09, P15 to P22
std::vector<Case> tokenizer_file_cases();  // T01 to T07
std::vector<Case> tokenizer_text_cases();  // T08 to T11
std::vector<Case> plan_file_cases();       // L01 to L04, L06, L09, L13
std::vector<Case> plan_content_cases();    // L07, L08, L14

// Opens a checkpoint and reads every byte of every tensor.
void use_checkpoint(const std::string& path);
// Opens a plan and verifies all its weights.
void use_plan(const std::string& path);

}  // namespace tenon::bad_inputs
