// Geometries of others: every form of well-known binary that PostGIS reads comes through, whatever else is refused, and damage is never believed.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <string>

#include "core/tier/foreign_geometry.hpp"

namespace vectorshard::tier {
namespace {

constexpr uint32_t kZ = 0x80000000, kM = 0x40000000, kSrid = 0x20000000;

std::string turned(std::string s, bool little) {
  if (!little) std::reverse(s.begin(), s.end());
  return s;
}
std::string word(uint32_t v, bool little = true) { return turned({reinterpret_cast<const char *>(&v), sizeof v}, little); }
std::string head(uint32_t type, bool little = true) { return std::string(1, little ? '\1' : '\0') + word(type, little); }
std::string numbers(int n) { return std::string(static_cast<size_t>(n) * 8, 'x'); }

uint32_t word_of(const std::string &wkb, bool little) {
  uint32_t v;
  const std::string bytes = turned(wkb.substr(1, sizeof v), little);
  memcpy(&v, bytes.data(), sizeof v);
  return v;
}

std::string ewkb(const std::string &wkb, int32_t srid) {
  std::string out(wkb.size() + kSridBytes, '?');
  out.resize(ewkb_of_wkb(wkb, srid, out.data()));
  return out;
}

TEST(TierForeignGeometry, FormsOfWellKnownBinary) {
  for (bool little : {true, false})
    for (auto [type, coordinates] : {std::pair(0u, 2), {1000u, 3}, {2000u, 3}, {3000u, 4}, {kZ, 3}, {kM, 3}, {kZ | kM, 4}}) {
      auto h = [type = type, little](uint32_t t) { return head(t + type, little); };
      auto w = [little](uint32_t v) { return word(v, little); };
      const std::string point = h(1) + numbers(coordinates), line = w(2) + numbers(2 * coordinates);
      for (const std::string &good : {point, h(2) + line, h(8) + line, h(3) + w(0), h(3) + w(2) + line + line, h(17) + w(1) + line, h(4) + w(1) + point, h(7) + w(2) + point + h(2) + line,
                                      h(9) + w(1) + h(8) + line, h(10) + w(1) + h(8) + line, h(15) + w(1) + h(3) + w(1) + line, h(7) + w(0), h(7) + w(1) + head(1, !little) + numbers(2)}) {
        EXPECT_EQ(ewkb(good, 0), good);
        EXPECT_EQ(ewkb(good, 25832), good.substr(0, 1) + w(word_of(good, little) | kSrid) + w(25832) + good.substr(5));
        for (size_t cut = 0; cut < good.size(); cut++) EXPECT_EQ(ewkb(good.substr(0, cut), 0), "");
        EXPECT_EQ(ewkb(good + "x", 0), "");
      }
    }
  EXPECT_EQ(ewkb(head(1) + numbers(2), 4326), head(1 | kSrid) + word(4326) + numbers(2));
  EXPECT_EQ(ewkb(head(1001, false) + numbers(3), 4326), head(1001 | kSrid, false) + word(4326, false) + numbers(3));
}

TEST(TierForeignGeometry, SridWithin) {
  const std::string within = head(1 | kSrid) + word(4326) + numbers(2);
  EXPECT_EQ(ewkb(within, 4326), within);
  EXPECT_EQ(ewkb(within, 0), within);
  EXPECT_EQ(ewkb(within, 25832), "");
}

TEST(TierForeignGeometry, WhatIsNone) {
  for (const std::string &bad : {std::string(), std::string("POINT(1 2)"), head(0) + numbers(2), head(13) + word(0), head(18) + word(0), head(4001) + numbers(4), "\2" + word(1) + numbers(2),
                                 head(2) + word(0xffffffff), head(3) + word(0xffffffff), head(7) + word(0xffffffff), head(1 | kSrid) + word(4326)})
    EXPECT_EQ(ewkb(bad, 4326), "");
  std::string deep;
  for (int i = 0; i < 100000; i++) deep += head(7) + word(1);
  EXPECT_EQ(ewkb(deep, 4326), "");
  std::mt19937 random(7);
  const std::string good = head(7) + word(3) + head(3) + word(1) + word(4) + numbers(8) + head(1) + numbers(2) + head(2) + word(2) + numbers(4);
  for (int i = 0; i < 100000; i++) {
    std::string damaged = good;
    for (int n = 0; n < 3; n++) damaged[random() % damaged.size()] = static_cast<char>(random() % 4 ? random() % 20 : random());
    EXPECT_LE(ewkb(damaged.substr(0, random() % damaged.size()), 4326).size(), damaged.size() + kSridBytes);
  }
}

TEST(TierForeignGeometry, CoordinateSystems) {
  EXPECT_EQ(srid_of_crs(""), 4326);
  EXPECT_EQ(srid_of_crs("OGC:CRS84"), 4326);
  EXPECT_EQ(srid_of_crs("null"), 0);
  EXPECT_EQ(srid_of_crs("EPSG:25832"), 25832);
  EXPECT_EQ(srid_of_crs("srid:3857"), 3857);
  for (const char *none : {"EPSG:", "EPSG:0", "EPSG:-1", "EPSG:1x", "EPSG:99999999999999", "EPSG:999000", "ESRI:102100", "OGC:CRS83", "{\"type\": \"ProjectedCRS\"}"}) EXPECT_FALSE(srid_of_crs(none)) << none;
}

TEST(TierForeignGeometry, Dimensions) {
  using Dimensions = ForeignGeometry::Dimensions;
  EXPECT_EQ(dimensions_of({}), Dimensions::unknown);
  EXPECT_EQ(dimensions_of({"Point", "Polygon"}), Dimensions::xy);
  EXPECT_EQ(dimensions_of({"Point Z", "Polygon Z"}), Dimensions::xyz);
  EXPECT_EQ(dimensions_of({"Point", "Polygon Z"}), Dimensions::unknown);
  EXPECT_EQ(dimensions_of({"Point M"}), Dimensions::unknown);
  EXPECT_EQ(dimensions_of({"Point ZM"}), Dimensions::unknown);
}

}  // namespace
}  // namespace vectorshard::tier
