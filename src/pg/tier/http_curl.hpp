// HTTP by libcurl, behind core/store/http.hpp. One connection cache per process. Cancelling and time-outs of statements end a
// request within a tenth of a second; no redirects are followed.
#pragma once
#include <memory>
#include <string>

#include "core/store/http.hpp"
#include "pg/bridge/postgres.hpp"

namespace vectorshard::tier {

/// `ca_file`: the certificates to trust; empty: those of the operating system. send() and wait() raise when the statement is
/// cancelled or the process is to end.
std::unique_ptr<store::HttpPort> open_http(const std::string &ca_file);

}  // namespace vectorshard::tier
