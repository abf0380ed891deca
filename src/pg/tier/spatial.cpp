// PostGIS's types: see spatial.hpp. The definition of a coordinate system comes from PROJ, which is in this process when PostGIS is.
#include "pg/tier/spatial.hpp"

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "pg/bridge/guard.hpp"
#include "pg/bridge/spi.hpp"
#include "pg/tier/cells.hpp"
extern "C" {
#include "catalog/dependency.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
}

namespace vectorshard::tier {

namespace {

constexpr const char *kSystems = "spatial_ref_sys";
constexpr int32_t kIsoTypesMax = 7;
constexpr int64_t kTail = 8;          // length of the footer, and the magic bytes

}  // namespace

Spatial spatial_of(Oid type) {
  HeapTuple tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(type));
  if (!HeapTupleIsValid(tuple)) return Spatial::none;
  const char *name = NameStr(reinterpret_cast<Form_pg_type>(GETSTRUCT(tuple))->typname);
  Spatial out = strcmp(name, "geometry") == 0 ? Spatial::geometry : strcmp(name, "geography") == 0 ? Spatial::geography : Spatial::none;
  ReleaseSysCache(tuple);
  if (out == Spatial::none) return out;
  Oid extension = getExtensionOfObject(TypeRelationId, type);
  char *of = OidIsValid(extension) ? get_extension_name(extension) : nullptr;
  return of && strcmp(of, "postgis") == 0 ? out : Spatial::none;
}

// As gserialized_typmod.c packs it: M, Z, six bits of the type, 21 of the SRID with its sign.
bool fits_iso_wkb(int32 typmod) { return typmod < 0 || ((typmod & 1) == 0 && (typmod & 0xfc) >> 2 <= kIsoTypesMax); }
int32 srid_of(int32 typmod) { return typmod < 0 ? 0 : ((typmod & 0x0fffff00) - (typmod & 0x10000000)) >> 8; }

GeoColumns::GeoColumns(std::vector<ManifestColumn> *columns, std::vector<Oid> types)
    : columns_(columns), types_(std::move(types)), of_(columns->size()) {}

bool GeoColumns::any() const {
  for (const ManifestColumn &c : *columns_)
    if (c.kind == CellKind::wkb) return true;
  return false;
}

bool GeoColumns::add(size_t column, const Cell *cells, size_t stride, size_t n) {
  Of &of = of_[column];
  for (size_t i = 0; i < n; i++) {
    const Cell &c = cells[i * stride];
    if (c.null) continue;
    if (c.number == kNoGeometry) return false;
    int32_t &srid = (*columns_)[column].srid;
    if (!of.seen) srid = static_cast<int32_t>(c.number);
    of.seen = true;
    if (c.number != srid) return false;
    of.census.add(c.bytes);
  }
  return true;
}

namespace {

/// The functions of PROJ that are needed, where PostGIS has loaded it.
class Proj {
 public:
  Proj() {
    auto find = [this](const char *name) {
      void *f = dlsym(RTLD_DEFAULT, name);
      complete_ = complete_ && f;
      return f;
    };
    context_create_ = reinterpret_cast<void *(*)()>(find("proj_context_create"));
    context_destroy_ = reinterpret_cast<void *(*)(void *)>(find("proj_context_destroy"));
    log_level_ = reinterpret_cast<int (*)(void *, int)>(find("proj_log_level"));
    create_ = reinterpret_cast<void *(*)(void *, const char *)>(find("proj_create"));
    destroy_ = reinterpret_cast<void *(*)(void *)>(find("proj_destroy"));
    as_projjson_ = reinterpret_cast<const char *(*)(void *, const void *, const char *const *)>(find("proj_as_projjson"));
  }
  /// PROJJSON of what `definition` names; empty if there is none.
  std::string json(const std::string &definition) const {
    if (!complete_ || definition.empty()) return "";
    std::string out;
    void *context = context_create_();
    (void)log_level_(context, 0);
    if (void *crs = create_(context, definition.c_str())) {
      const char *options[] = {"MULTILINE=NO", nullptr};
      const char *text = as_projjson_(context, crs, options);
      if (text) out = text;
      destroy_(crs);
    }
    context_destroy_(context);
    return out;
  }

 private:
  bool complete_ = true;
  void *(*context_create_)();
  void *(*context_destroy_)(void *);
  int (*log_level_)(void *, int);
  void *(*create_)(void *, const char *);
  void *(*destroy_)(void *);
  const char *(*as_projjson_)(void *, const void *, const char *const *);
};

/// The table of coordinate systems that belongs to the type, as it is written in SQL; empty if there is none.
std::string systems_table(Oid type) {
  const char *name = bridge::pg_call([&]() -> const char * {
    HeapTuple tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(type));
    if (!HeapTupleIsValid(tuple)) return nullptr;
    Oid schema = reinterpret_cast<Form_pg_type>(GETSTRUCT(tuple))->typnamespace;
    ReleaseSysCache(tuple);
    return OidIsValid(get_relname_relid(kSystems, schema)) ? quote_qualified_identifier(get_namespace_name(schema), kSystems) : nullptr;
  });
  return name ? name : "";
}

/// The coordinate system of an SRID: PROJJSON, "null" if nobody can tell, empty for longitude and latitude.
std::string crs_of(Oid type, int32_t srid) {
  if (srid == kLonLat) return "";
  std::string table = srid == 0 ? "" : systems_table(type);
  if (table.empty()) return "null";
  bridge::Spi spi;
  bridge::Rows rows = spi.query("SELECT auth_name || ':' || auth_srid, srtext FROM " + table + " WHERE srid = $1", {bridge::p_int4(srid)}, true);
  static const Proj proj;
  for (size_t definition = 0; definition < 2 && !rows.empty(); definition++)
    if (std::string json = proj.json(rows.at(0, definition)); !json.empty()) return json;
  return "null";
}

[[noreturn]] void failed(const char *what, const std::string &path) {
  std::string why = strerror(errno);
  bridge::raise_sqlstate(errno == ENOSPC ? ERRCODE_DISK_FULL : ERRCODE_IO_ERROR, std::string("could not ") + what + " file \"" + path + "\": " + why);
}

class OpenFile {
 public:
  explicit OpenFile(const std::string &path) : path_(path), fd_(open(path.c_str(), O_RDWR | O_CLOEXEC)) {
    struct stat info;
    if (fd_ < 0 || fstat(fd_, &info) != 0) failed("open", path);
    bytes_ = info.st_size;
  }
  ~OpenFile() { close(fd_); }
  OpenFile(const OpenFile &) = delete;
  OpenFile &operator=(const OpenFile &) = delete;
  std::string tail(int64_t bytes) const {
    std::string out(static_cast<size_t>(std::clamp<int64_t>(bytes, 0, bytes_)), 0);
    if (pread(fd_, out.data(), out.size(), bytes_ - static_cast<int64_t>(out.size())) != static_cast<ssize_t>(out.size())) failed("read", path_);
    return out;
  }
  /// Another end from `bytes` before the end on.
  void replace_tail(int64_t bytes, const std::string &with) const {
    if (pwrite(fd_, with.data(), with.size(), bytes_ - bytes) != static_cast<ssize_t>(with.size()) ||
        ftruncate(fd_, bytes_ - bytes + static_cast<int64_t>(with.size())) != 0)
      failed("write", path_);
  }

 private:
  const std::string &path_;
  int fd_;
  int64_t bytes_ = 0;
};

uint32_t length_of(const std::string &end) {
  uint32_t length;
  memcpy(&length, end.data(), sizeof length);
  return length;
}

}  // namespace

void GeoColumns::finish(const std::string &path) {
  std::vector<GeoColumn> geo;
  for (size_t i = 0; i < columns_->size(); i++) {
    const ManifestColumn &c = (*columns_)[i];
    if (c.kind != CellKind::wkb) continue;
    bool geography = bridge::pg_call([&] { return spatial_of(types_[i]) == Spatial::geography; });
    geo.push_back({field_name(*columns_, i), crs_of(types_[i], c.srid), geography, of_[i].census});
  }
  if (geo.empty()) return;
  OpenFile file(path);
  const std::string end = file.tail(kTail);
  const int64_t length = length_of(end);
  std::optional<std::string> footer = with_geo_metadata(file.tail(kTail + length).substr(0, static_cast<size_t>(length)), geo_metadata(geo));
  if (!footer) bridge::raise({Errc::corrupt, "the Parquet file of a segment has no place for its GeoParquet metadata", "", ""});
  std::string with = *footer + std::string(sizeof(uint32_t), 0) + end.substr(sizeof(uint32_t));
  const auto now = static_cast<uint32_t>(footer->size());
  memcpy(with.data() + footer->size(), &now, sizeof now);
  file.replace_tail(kTail + length, with);
}

}  // namespace vectorshard::tier
