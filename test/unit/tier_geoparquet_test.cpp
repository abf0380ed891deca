// Geometries between PostGIS's form and the ISO one, and what GeoParquet says of them.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <string>

#include "core/tier/geoparquet.hpp"

namespace vectorshard::tier {
namespace {

std::string word(uint32_t v) { return {reinterpret_cast<const char *>(&v), sizeof v}; }
std::string number(double v) { return {reinterpret_cast<const char *>(&v), sizeof v}; }
std::string head(uint32_t type) { return "\x01" + word(type); }
std::string xy(double x, double y) { return number(x) + number(y); }

constexpr uint32_t kZ = 0x80000000, kM = 0x40000000, kSrid = 0x20000000;

std::string iso(std::string ewkb, int32_t *srid) {
  auto out = iso_of_ewkb(ewkb.data(), ewkb.size());
  *srid = out ? out->srid : -1;
  return out ? std::string(out->wkb) : "";
}

void goes_there_and_back(const std::string &ewkb, const std::string &expected, int32_t srid) {
  int32_t found;
  std::string wkb = iso(ewkb, &found);
  EXPECT_EQ(wkb, expected);
  EXPECT_EQ(found, srid);
  std::string back(wkb.size() + kSridBytes, 0);
  back.resize(ewkb_of_iso(wkb, srid, back.data()));
  EXPECT_EQ(back, ewkb);
}

TEST(TierWkb, ThereAndBack) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  goes_there_and_back(head(1) + xy(1, 2), head(1) + xy(1, 2), 0);
  goes_there_and_back(head(1 | kSrid) + word(4326) + xy(1, 2), head(1) + xy(1, 2), 4326);
  goes_there_and_back(head(1 | kSrid | kZ) + word(3857) + xy(1, 2) + number(3), head(1001) + xy(1, 2) + number(3), 3857);
  goes_there_and_back(head(1) + xy(nan, nan), head(1) + xy(nan, nan), 0);
  goes_there_and_back(head(2) + word(2) + xy(0, -0.0) + xy(1, 1), head(2) + word(2) + xy(0, -0.0) + xy(1, 1), 0);
  goes_there_and_back(head(3) + word(0), head(3) + word(0), 0);
  std::string rings = word(2) + word(1) + xy(0, 0) + word(2) + xy(1, 1) + xy(2, 2);
  goes_there_and_back(head(3) + rings, head(3) + rings, 0);
  goes_there_and_back(head(7 | kSrid | kZ) + word(5) + word(2) + head(7 | kZ) + word(0) + head(4 | kZ) + word(1) + head(1 | kZ) + xy(1, 2) + number(3),
                      head(1007) + word(2) + head(1007) + word(0) + head(1004) + word(1) + head(1001) + xy(1, 2) + number(3), 5);
}

TEST(TierWkb, WhatIsoCannotHoldIsRefused) {
  int32_t srid;
  for (const std::string &bad : {head(1 | kM) + xy(1, 2) + number(3), head(8) + word(0), head(15) + word(0), head(17) + word(0), head(0), std::string("\x01"), std::string(),
                                 head(1) + number(1), head(1) + xy(1, 2) + "x", head(2) + word(0xffffffff), "\0" + head(1).substr(1) + xy(1, 2),
                                 head(1 | kSrid) + word(0) + xy(1, 2), head(1 | kSrid), head(7) + word(1) + head(1 | kSrid) + word(4326) + xy(1, 2),
                                 head(7) + word(1) + head(8) + word(0), head(1001) + xy(1, 2) + number(3)}) {
    EXPECT_EQ(iso(bad, &srid), "");
    EXPECT_EQ(srid, -1);
  }
  std::string deep;
  for (int i = 0; i < 1000; i++) deep += head(7) + word(1);
  EXPECT_EQ(iso(deep + head(7) + word(0), &srid), "");
}

TEST(TierWkb, DamageIsSeen) {
  std::string out(100, 0);
  for (const std::string &bad : {std::string(), head(1) + number(1), head(8) + word(0), head(2001) + xy(1, 2) + number(3), head(1) + xy(1, 2) + "x"})
    EXPECT_EQ(ewkb_of_iso(bad, 4326, out.data()), 0u);
}

TEST(TierGeoParquet, Census) {
  GeometryCensus c;
  EXPECT_TRUE(c.types().empty());
  EXPECT_TRUE(c.box().empty());
  const double nan = std::numeric_limits<double>::quiet_NaN();
  c.add(head(1) + xy(nan, nan));
  EXPECT_TRUE(c.box().empty());
  c.add(head(1) + xy(3, -4));
  c.add(head(2) + word(2) + xy(5, 6) + xy(-7, 0));
  EXPECT_EQ(c.box(), (std::vector<double>{-7, -4, 5, 6}));
  c.add(head(1001) + xy(0, 0) + number(9));
  EXPECT_EQ(c.box(), (std::vector<double>{-7, -4, 9, 5, 6, 9}));
  EXPECT_EQ(c.types(), (std::vector<std::string>{"Point", "LineString", "Point Z"}));
  c.add(head(1) + xy(0, std::numeric_limits<double>::infinity()));
  EXPECT_TRUE(c.box().empty());
}

TEST(TierGeoParquet, Metadata) {
  GeoColumn a{"a", "", false, {}}, b{"b", "null", true, {}};
  a.geometries.add(head(1) + xy(0.1, 2));
  b.geometries.add(head(1) + xy(1, 2));
  EXPECT_EQ(geo_metadata({a, b}),
            R"({"version": "1.1.0", "primary_column": "a", "columns": {"a": {"encoding": "WKB", "geometry_types": ["Point"], "bbox": [0.1, 2, 0.1, 2]}, )"
            R"("b": {"encoding": "WKB", "geometry_types": ["Point"], "crs": null, "edges": "spherical"}}})");
}

TEST(TierGeoParquet, Footer) {
  auto field = [](const std::string &s) { return std::string("\x18") + static_cast<char>(s.size()) + s; };
  std::string pair = field("geo") + field(kGeoPlaceholder), long_value(300, 'x');
  EXPECT_FALSE(with_geo_metadata("some footer", "x"));
  EXPECT_EQ(with_geo_metadata("a" + pair + "b", "xyz"), "a" + field("geo") + field("xyz") + "b");
  EXPECT_EQ(with_geo_metadata(pair + "a" + pair + "b", long_value), pair + "a" + field("geo") + "\x18\xac\x02" + long_value + "b");
}

}  // namespace
}  // namespace vectorshard::tier
