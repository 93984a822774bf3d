#pragma once

#include "provider/metering/report.h"

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace farlet::metering {

// Writes Prometheus' text format 0.0.4. Values are texts: a library's doubles would round what the
// ledger knows exactly.
class Exposition {
 public:
  using Labels = std::vector<std::pair<std::string_view, std::string_view>>;

  // Samples that follow belong to it. Names are ours and valid.
  void Family(std::string_view name, std::string_view type, std::string_view help);
  // Label values may be any text.
  void Sample(const Labels& labels, std::string_view value);

  std::string Take() { return std::move(text_); }

 private:
  std::string name_;
  std::string text_;
};

// The counters of the ledger. There are as many series as it keeps groups.
std::string MetricsText(const std::map<Group, GroupTotal>& counters);

}  // namespace farlet::metering
