#pragma once

#include "provider/app/config.h"

#include <functional>
#include <map>
#include <string>
#include <variant>
#include <vector>

namespace farlet::app {

// A setting's value before it is understood: the same from YAML and from a flag.
using RawMap = std::map<std::string, std::string>;
using RawValue = std::variant<std::string, std::vector<std::string>, RawMap, std::vector<RawMap>>;

struct Field {
  enum class Shape { kScalar, kList, kMap, kListOfMaps };

  const char* key;
  const char* help;
  Shape shape;
  // Checks and stores. The error says what is wrong with the value only; the caller names the
  // place.
  std::function<Status(NodeConfig& config, const RawValue& value)> set;
};

const std::vector<Field>& Fields();

// "nodeIP" → "node-ip", "clusterDNS" → "cluster-dns".
std::string FlagName(std::string_view key);

// The text of a flag in the shape of its field: lists "a,b", maps "k=v,k=v", taints
// "key=value:Effect".
Result<RawValue> ParseFlagText(const Field& field, std::string_view text);

}  // namespace farlet::app
