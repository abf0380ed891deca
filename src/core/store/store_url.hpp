// What the URL of a store says. It is known to everybody in the fabric, so it holds no secret.
#pragma once
#include <string>

#include "core/base/result.hpp"

namespace vectorshard::store {

enum class StoreKind { file, s3, azure };

struct StoreUrl {
  StoreKind kind = StoreKind::file;
  std::string path;       // file: absolute
  std::string account;    // azure
  std::string bucket;     // s3: bucket, azure: container
  std::string prefix;     // s3, azure: folder in it, without '/' at its ends; may be empty
  std::string base;       // s3, azure: scheme://host[:port] that is asked
  std::string base_path;  // what stands in the path before a key's: "/bucket", "" with virtual hosts
  std::string region;     // s3
  std::string tier;       // s3: storage class, azure: access tier; empty: the bucket's, or account's, own
  std::string thaw;       // s3: Expedited, Standard, Bulk; azure: Standard, High
  int thaw_days = 1;      // s3: how long a thawed copy stays
};

/// file:///directory, s3://bucket[/folder]?endpoint=&region=&style=&class=&thaw=&thaw_days=,
/// azure://account/container[/folder]?endpoint=&tier=&thaw=. Errors: invalid_argument with a hint.
Result<StoreUrl> read_store_url(const std::string &url);

/// False if the host of scheme://host[:port] is this machine.
bool over_network(const std::string &base);

/// True if requests would go unencrypted over a network.
bool exposed(const StoreUrl &url);

}  // namespace vectorshard::store
