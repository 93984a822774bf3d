#include "provider/fargate/yaml_document.h"

#include "kube/api/utf8.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>
#include <sstream>
#include <system_error>
#include <utility>

namespace farlet::fargate {
namespace {

using Json = nlohmann::json;

// Of all documents together. Aliases can make a short text very large.
constexpr size_t kMaxNodes = 200'000;
constexpr int kMaxDepth = 64;

int LineOfNode(const YAML::Node& node) {
  return node.Mark().line + 1;
}

Error At(const YAML::Node& node, std::string_view problem) {
  return InvalidArgument(fmt::format("line {}: {}", LineOfNode(node), problem));
}

template <class Number>
std::optional<Number> ParseNumber(std::string_view text) {
  if (text.starts_with('+')) {
    text.remove_prefix(1);
  }
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) {
    return std::nullopt;
  }
  return number;
}

bool LooksLikeNumber(std::string_view text) {
  return text.find_first_not_of("+-.0123456789eE") == std::string_view::npos &&
         text.find_first_of("0123456789") != std::string_view::npos;
}

// An unquoted scalar.
Json PlainScalar(const std::string& text) {
  if (text.empty() || text == "~" || text == "null" || text == "Null" || text == "NULL") {
    return nullptr;
  }
  if (text == "true" || text == "True" || text == "TRUE") {
    return true;
  }
  if (text == "false" || text == "False" || text == "FALSE") {
    return false;
  }
  if (LooksLikeNumber(text)) {
    if (const auto whole = ParseNumber<int64_t>(text)) {
      return *whole;
    }
    if (const auto real = ParseNumber<double>(text); real && std::isfinite(*real)) {
      return *real;
    }
  }
  return text;
}

// What is not could not be sent on as JSON.
bool IsUtf8(const std::string& text) {
  return kube::ValidUtf8(text) == text;
}

// YAML has no others (YAML 1.2, 5.1), and yaml-cpp does not come to an end with some of them.
Status CheckCharacters(std::string_view text) {
  const auto* const bad = std::find_if(text.begin(), text.end(), [](unsigned char letter) {
    return (letter < 0x20 && letter != '\t' && letter != '\n' && letter != '\r') || letter == 0x7f;
  });
  if (bad == text.end()) {
    return {};
  }
  return InvalidArgument(fmt::format("line {}: control character 0x{:02x}",
                                     1 + std::count(text.begin(), bad, '\n'),
                                     static_cast<unsigned char>(*bad)));
}

// Goes through a text without building anything. yaml-cpp 0.7 finds documents without end where a
// stray "," or bracket stands between them.
class DocumentCounter final : public YAML::EventHandler {
 public:
  // Throws YAML::Exception, also for what is no YAML.
  static void Check(const std::string& text) {
    std::istringstream stream(text);
    YAML::Parser parser(stream);
    DocumentCounter counter;
    while (parser.HandleNextDocument(counter)) {
    }
  }

  void OnDocumentStart(const YAML::Mark& mark) override {
    constexpr int kMaxDocuments = 1000;
    if (++documents_ > kMaxDocuments) {
      throw YAML::ParserException(mark, "too many documents, or what belongs to none");
    }
  }

  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& /*mark*/, YAML::anchor_t /*anchor*/) override {}

  void OnAlias(const YAML::Mark& /*mark*/, YAML::anchor_t /*anchor*/) override {}

  void OnScalar(const YAML::Mark& /*mark*/,
                const std::string& /*tag*/,
                YAML::anchor_t /*anchor*/,
                const std::string& /*value*/) override {}

  void OnSequenceStart(const YAML::Mark& /*mark*/,
                       const std::string& /*tag*/,
                       YAML::anchor_t /*anchor*/,
                       YAML::EmitterStyle::value /*style*/) override {}

  void OnSequenceEnd() override {}

  void OnMapStart(const YAML::Mark& /*mark*/,
                  const std::string& /*tag*/,
                  YAML::anchor_t /*anchor*/,
                  YAML::EmitterStyle::value /*style*/) override {}

  void OnMapEnd() override {}

 private:
  int documents_ = 0;
};

class Converter {
 public:
  Result<Json> Convert(const YAML::Node& node, int depth) {
    if (++nodes_ > kMaxNodes || depth > kMaxDepth) {
      return At(node, "too large or too deep");
    }
    switch (node.Type()) {
      case YAML::NodeType::Map:
        return ConvertMap(node, depth);
      case YAML::NodeType::Sequence:
        return ConvertSequence(node, depth);
      case YAML::NodeType::Scalar:
        return ConvertScalar(node);
      case YAML::NodeType::Null:
      case YAML::NodeType::Undefined:
        break;
    }
    return Json(nullptr);
  }

 private:
  static Result<Json> ConvertScalar(const YAML::Node& node) {
    if (!IsUtf8(node.Scalar())) {
      return At(node, "not UTF-8");
    }
    // yaml-cpp's tags: "?" for what stands there plainly, "!" for what is quoted.
    return node.Tag() == "?" ? PlainScalar(node.Scalar()) : Json(node.Scalar());
  }

  Result<Json> ConvertMap(const YAML::Node& node, int depth) {
    Json object = Json::object();
    for (const auto& entry : node) {
      if (!entry.first.IsScalar()) {
        return At(entry.first, "a key must be a single value");
      }
      const std::string& key = entry.first.Scalar();
      if (!IsUtf8(key)) {
        return At(entry.first, "not UTF-8");
      }
      if (object.contains(key)) {
        return At(entry.first, fmt::format("\"{}\" is there twice", key));
      }
      FARLET_ASSIGN(object[key], Convert(entry.second, depth + 1));
    }
    return object;
  }

  Result<Json> ConvertSequence(const YAML::Node& node, int depth) {
    Json list = Json::array();
    for (const auto& entry : node) {
      FARLET_ASSIGN(Json item, Convert(entry, depth + 1));
      list.push_back(std::move(item));
    }
    return list;
  }

  size_t nodes_ = 0;
};

// Takes the next step of a path: ".name", "name" or "[name]"; empty when there is none.
std::string_view TakeStep(std::string_view& path) {
  if (path.starts_with('.')) {
    path.remove_prefix(1);
  }
  if (path.starts_with('[')) {
    const size_t end = std::min(path.find(']'), path.size());
    const std::string_view step = path.substr(1, end - 1);
    path.remove_prefix(std::min(end + 1, path.size()));
    return step;
  }
  const std::string_view step = path.substr(0, path.find_first_of(".["));
  path.remove_prefix(step.size());
  return step;
}

// The key's line when `step` is one of the map.
std::optional<std::pair<YAML::Node, int>> Child(const YAML::Node& node, std::string_view step) {
  if (node.IsMap()) {
    for (const auto& entry : node) {
      if (entry.first.IsScalar() && entry.first.Scalar() == step) {
        return std::pair{entry.second, LineOfNode(entry.first)};
      }
    }
  } else if (node.IsSequence()) {
    const auto index = ParseNumber<size_t>(step);
    if (index && *index < node.size()) {
      const YAML::Node item = node[*index];
      return std::pair{item, LineOfNode(item)};
    }
  }
  return std::nullopt;
}

}  // namespace

struct YamlDocument::State {
  YAML::Node root;
  Json json;
};

YamlDocument::YamlDocument(std::unique_ptr<State> state) : state_(std::move(state)) {}

YamlDocument::~YamlDocument() = default;
YamlDocument::YamlDocument(YamlDocument&& other) noexcept = default;
YamlDocument& YamlDocument::operator=(YamlDocument&& other) noexcept = default;

Result<std::vector<YamlDocument>> YamlDocument::ParseAll(std::string_view text) {
  FARLET_TRY(CheckCharacters(text));
  const std::string copy(text);  // as yaml-cpp wants it
  try {
    DocumentCounter::Check(copy);
    Converter converter;
    std::vector<YamlDocument> documents;
    for (YAML::Node& root : YAML::LoadAll(copy)) {
      FARLET_ASSIGN(Json json, converter.Convert(root, 0));
      if (!json.is_null()) {
        documents.push_back(
            YamlDocument(std::make_unique<State>(State{.root = root, .json = std::move(json)})));
      }
    }
    return documents;
  } catch (const YAML::Exception& error) {
    return InvalidArgument(fmt::format("line {}: {}", error.mark.line + 1, error.msg));
  }
}

const nlohmann::json& YamlDocument::json() const {
  return state_->json;
}

int YamlDocument::LineOf(std::string_view path) const {
  YAML::Node node = state_->root;
  int line = LineOfNode(node);
  while (!path.empty()) {
    const auto child = Child(node, TakeStep(path));
    if (!child) {
      break;
    }
    node.reset(child->first);
    line = child->second;
  }
  return line;
}

}  // namespace farlet::fargate
