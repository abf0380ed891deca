// The fabric of the demo: one core node and the edge nodes, each a PostgreSQL server of its own, joined by the SQL a DBA would
// type. Node indexes here are 0..edges()-1 for the edge nodes and core_index() for the core node; number() gives the fabric's own.
#pragma once
#include <string>
#include <unordered_map>
#include <vector>

#include "geo.hpp"
#include "pg.hpp"
#include "server.hpp"

namespace vectorshard::demo {

struct FabricSettings {
  double time_scale = 1;
  double client_idle_s = 900;
};

class Fabric {
 public:
  /// Makes the data directories and starts the servers; `edges` are the places of the edge nodes.
  Fabric(const Installation &installation, std::vector<Point> edges, const FabricSettings &settings);

  /// create_fabric on the core node, the tables and the store, then join_fabric on every edge node.
  void join_all();
  /// Changes a setting on every node.
  void set_everywhere(const std::string &setting, const std::string &value);
  /// Removes what the core node keeps of objects in stores, as if it had been long ago that it read them.
  void forget_copies() const;
  /// Stops all servers, at the same time.
  void stop();

  size_t edges() const { return places_.size(); }
  size_t core_index() const { return places_.size(); }
  const std::vector<Point> &places() const { return places_; }
  /// Connection string of the application or of the administrator.
  std::string conninfo_app(size_t index) const { return servers_[index].conninfo(installation_, "fleet"); }
  std::string conninfo_admin(size_t index) const { return servers_[index].conninfo(installation_, "postgres"); }
  int number(size_t index) const { return numbers_.at(index); }
  /// Index of the node with the fabric's number, or kNowhere's value if there is none.
  size_t index_of(int number) const;

 private:
  void make_template();
  void create_core();
  void join(size_t index);
  void read_numbers();
  void map_user(Connection &node, const std::string &server);

  const Installation &installation_;
  std::vector<Point> places_;
  FabricSettings settings_;
  std::vector<Server> servers_;
  std::vector<int> numbers_;
};

}  // namespace vectorshard::demo
