// One table: the class of a core Error -> its SQLSTATE. No other file chooses SQLSTATEs for core errors.
#include "pg/bridge/guard.hpp"

namespace vectorshard::bridge {

namespace {

int sqlstate_of(Errc code) {
  switch (code) {
    case Errc::invalid_argument: return ERRCODE_INVALID_PARAMETER_VALUE;
    case Errc::corrupt: return ERRCODE_DATA_CORRUPTED;
    case Errc::unreachable: return ERRCODE_CONNECTION_FAILURE;
    case Errc::denied: return ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION;
    case Errc::no_right: return ERRCODE_INSUFFICIENT_PRIVILEGE;
    case Errc::not_found: return ERRCODE_UNDEFINED_OBJECT;
    case Errc::archived: return ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE;
    case Errc::conflict: return ERRCODE_T_R_SERIALIZATION_FAILURE;
    case Errc::no_space: return ERRCODE_DISK_FULL;
    case Errc::clock_skew: return ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE;
    case Errc::unavailable: return ERRCODE_FEATURE_NOT_SUPPORTED;
    case Errc::io: return ERRCODE_IO_ERROR;
  }
  return ERRCODE_INTERNAL_ERROR;
}

}  // namespace

void raise(const Error &error) {
  raise_sqlstate(sqlstate_of(error.code), error.message, error.detail, error.hint);
}

void raise_sqlstate(int sqlstate, const std::string &message, const std::string &detail, const std::string &hint) {
  const char *m = message.c_str(), *d = detail.c_str(), *h = hint.c_str();
  pg_call([&] {
    ereport(ERROR, (errcode(sqlstate), errmsg("%s", m), *d ? errdetail("%s", d) : 0, *h ? errhint("%s", h) : 0));
  });
  pg_unreachable();
}

}  // namespace vectorshard::bridge
