// XML by libxml2: see xml.hpp.
#include "core/store/xml.hpp"

#include <libxml/parser.h>
#include <libxml/tree.h>

#include <memory>

namespace vectorshard::store {

namespace {

constexpr int kDepthMax = 20;  // the documents have four levels

const char *chars(const xmlChar *s) { return s ? reinterpret_cast<const char *>(s) : ""; }

XmlNode copy_of(const xmlNode *node, int depth) {
  XmlNode out;
  out.name = chars(node->name);
  for (const xmlNode *c = node->children; c; c = c->next) {
    if (c->type == XML_TEXT_NODE || c->type == XML_CDATA_SECTION_NODE) out.text += chars(c->content);
    if (c->type == XML_ELEMENT_NODE && depth < kDepthMax) out.children.push_back(copy_of(c, depth + 1));
  }
  return out;
}

}  // namespace

const XmlNode *XmlNode::child(std::string_view wanted) const {
  for (const XmlNode &c : children)
    if (c.name == wanted) return &c;
  return nullptr;
}

std::string XmlNode::child_text(std::string_view wanted) const {
  const XmlNode *c = child(wanted);
  return c ? c->text : "";
}

std::optional<XmlNode> read_xml(std::string_view text) {
  constexpr std::string_view kMark = "\xEF\xBB\xBF";
  if (text.starts_with(kMark)) text.remove_prefix(kMark.size());  // Azure begins its lists so
  int options = XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING;
  std::unique_ptr<xmlDoc, decltype(&xmlFreeDoc)> document(
      xmlReadMemory(text.data(), static_cast<int>(text.size()), nullptr, nullptr, options), xmlFreeDoc);
  xmlNode *root = document ? xmlDocGetRootElement(document.get()) : nullptr;
  if (!root) return std::nullopt;
  return copy_of(root, 0);
}

StoreComplaint read_complaint(std::string_view text) {
  auto root = read_xml(text);
  if (!root || root->name != "Error") return {};
  std::string message = root->child_text("Message");
  return {root->child_text("Code"), message.substr(0, message.find('\n'))};
}

}  // namespace vectorshard::store
