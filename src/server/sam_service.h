#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "pipelines/sam/predictor.h"
#include "server/http_types.h"
#include "server/metrics.h"
#include "server/picture_store.h"

namespace tenon::server {

struct SamServiceOptions {
  int64_t most_pictures = 16;
  int64_t most_picture_bytes = 1ll << 30;                // pixels and embeddings held
  std::string version, device, plan_digest, proof_note;  // what /health and /metrics tell
};

// The page and the HTTP API of a Segment Anything plan (docs/http.md).
class SamService : public Handler {
 public:
  // The predictor is borrowed and used by `answer` of requests that are work, one at a time.
  SamService(sam::Predictor& predictor, const SamServiceOptions& options);

  std::variant<Route, Response> route(const Request& request) override;
  Response answer(const Request& request, Abandoned abandoned) override;
  void answered(const Request& request, int status, double waited, double took) override;

  // For /metrics: called when it is asked.
  void set_load(std::function<std::pair<int64_t, int64_t>()> running_and_waiting) {
    load_ = std::move(running_and_waiting);
  }

 private:
  struct Endpoint;
  struct Call;
  static const Endpoint kEndpoints[];
  static const Endpoint* find(std::string_view path, std::string_view method, std::string* id,
                              std::string* allowed);

  Response get_asset(const Call& call);
  Response get_health(const Call& call);
  Response get_models(const Call& call);
  Response get_metrics(const Call& call);
  Response post_image(const Call& call);
  Response get_image(const Call& call);
  Response delete_image(const Call& call);
  Response post_masks(const Call& call);
  Response post_everything(const Call& call);
  // Makes the picture the predictor's. nullptr: no such picture.
  std::shared_ptr<const Picture> take(const std::string& id);

  sam::Predictor& predictor_;
  const SamServiceOptions options_;
  std::string model_name_;
  PictureStore pictures_;
  std::shared_ptr<const Picture> current_;  // what the predictor has; the worker's
  // Of the "everything" that runs: the picture, and how many of its clicks are done.
  struct Everything {
    std::string image;
    int64_t done = 0, all = 0;
  };
  std::mutex everything_mutex_;
  std::optional<Everything> everything_;
  void set_everything(std::optional<Everything> now);
  Metrics metrics_;
  std::function<std::pair<int64_t, int64_t>()> load_;
};

}  // namespace tenon::server
