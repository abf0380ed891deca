// One peer of the shipper: one connection, or several where one core of the peer is not enough (peer_connections). All
// changes of a client go over the same connection; what belongs to no client goes over the first. No order between
// connections is needed: rows are merged by version, and a row that comes before what makes its client known there is
// refused, which is a debt.
#pragma once
#include "pg/ship/lane.hpp"

namespace vectorshard::ship {

class Peer {
 public:
  explicit Peer(PeerRow row);

  NodeId node() const { return row_.node; }
  const std::string &name() const { return row_.name; }
  /// Much is going to be sent: with peer_connections = 0, more than one connection is worth it.
  void expect(bool much);
  /// Every connection stands.
  bool ready() const;
  /// As Lane::working(), on any connection.
  bool working() const;
  /// It answered batches whose commits may not be on its disk yet.
  bool unflushed() const;
  void flush_soon();
  /// A connection is wanted now: call begin() inside a transaction.
  bool wants_connection() const;
  void begin();
  /// Gives the connections up; what was under way counts as unsent again.
  void give_up(const std::string &why);

  void add(const Change &change) { lane(change.client).add(change); }
  void push(Shipment payment) { lane(payment.pays->client).push(std::move(payment)); }
  /// Room for a payment of debt beside the stream.
  bool has_room() const;
  bool paying(const std::string &client, const std::string &table) const { return lane(client).paying(client, table); }
  /// Changes that the peer has not flushed.
  size_t stream_bytes() const;
  /// The oldest transaction among them; 0: none.
  Lsn oldest() const;
  /// The changes that are not under way, for making them debt. Payments among them are dropped: they are debt already.
  std::vector<Shipment> take_unsent();

  /// Moves everything as far as the sockets allow.
  void pump(std::vector<Delivered> &out);
  /// Calls f(socket, events, connection) for each socket to wait for.
  template <class F>
  void for_each_socket(F f) const {
    for (const auto &lane : lanes_) {
      int events = 0;
      int socket = lane->socket(&events);
      if (socket >= 0) f(socket, events, lane->connection());
    }
  }
  /// How far this node's clock seemed ahead of the peer's at the last greeting; nothing: not greeted yet.
  std::optional<int64_t> ahead_ms() const { return lanes_.front()->ahead_ms(); }
  void forget_clock() { lanes_.front()->forget_clock(); }
  PeerStatus status() const;

 private:
  Lane &lane(const ClientName &client) const;
  void follow_setting();

  PeerRow row_;
  bool much_ = false;
  std::vector<std::unique_ptr<Lane>> lanes_;  // at least one
};

}  // namespace vectorshard::ship
