// How long a copy to a node takes, from what that node measured of real copies: the lead with which a copy must be begun.
// Pure; seconds of the wall clock.
#pragma once
#include <cstddef>
#include <vector>

#include "core/base/ids.hpp"

namespace vectorshard::place {

/// What is known of copies from one source to one node. Zeros: not measured.
struct Path {
  double rtt_s = 0;        // of the link
  double setup_s = 0;      // what a copy takes however small it is
  double bytes_per_s = 0;  // what each byte adds; 0: no more than can be told apart
};

/// What a node measures of copies from one source. Plain data, all zeros at first: it lives in shared memory. Times are
/// fitted by a line over bytes, older ones fade: what a small client waits for says nothing of the bandwidth.
class PathMeter {
 public:
  void note_rtt(double seconds);
  /// A client came, `seconds` after its job began, as the last of `bytes` in this job.
  void note_copy(double bytes, double seconds);
  bool copied() const { return n_ > 0; }
  /// Mean time of the last copies; 0: none.
  double mean_s() const { return n_ > 0 ? y_ / n_ : 0; }
  Path path() const;

 private:
  double rtt_s_ = 0;
  double n_ = 0, x_ = 0, y_ = 0, xx_ = 0, xy_ = 0;  // fading sums
};

/// How long a copy of `bytes` takes; 0: nothing was measured. A copy asks its source twice.
double copy_s(const Path &path, double bytes);

/// What must be known to say when a copy begun now is ready.
struct LeadInput {
  Path path;             // from the client's source to the target, as the target measured it
  double bytes = 0;      // of the client
  double queue_s = 0;    // what the target copies before
  double thaw_s = 0;     // what the store takes to give a cold client back
  double fallback_s = 0; // while nothing is measured: what copies took elsewhere
  double least_s = 0;    // never less
};
double lead_s(const LeadInput &in);

/// Whom a client may be copied from.
struct Source {
  NodeId node = kNoNode;
  Path path;  // to this node; a round trip at most, if nothing was copied from it yet
};

/// The home, or a holder that is so much nearer that its copy is worth asking the home once more whether it lacks anything. Of a
/// holder that nothing was copied from yet the round trip must be known; its copies are taken to be as quick as any, `setup_s`.
NodeId nearest_source(const Source &home, const std::vector<Source> &holders, double bytes, double setup_s);

/// Leads in a few classes: a forecast is made for each. Each lead belongs to the smallest class that is not below it, and
/// is at least two thirds of it, unless there would be more than `most` classes. Ascending.
std::vector<double> lead_classes(std::vector<double> leads, size_t most);
/// The class of a lead.
double class_of(const std::vector<double> &classes, double lead_s);

}  // namespace vectorshard::place
