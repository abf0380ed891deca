// The small XML documents of object stores (lists, errors), read by libxml2 without network, entities or warnings.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vectorshard::store {

struct XmlNode {
  std::string name;  // without its namespace's prefix
  std::string text;  // of its own, not of its children
  std::vector<XmlNode> children;
  /// Text of the first child of that name, or "".
  std::string child_text(std::string_view child) const;
  const XmlNode *child(std::string_view name) const;
};

/// The root element; nothing if the text is no XML document.
std::optional<XmlNode> read_xml(std::string_view text);

/// What an error document says.
struct StoreComplaint {
  std::string code, message;
};
/// Empty if the text is no error document.
StoreComplaint read_complaint(std::string_view text);

}  // namespace vectorshard::store
