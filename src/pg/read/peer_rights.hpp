// Rights of a session in which another node asks or changes (read_scope = home). Nodes log in with an ordinary role, a member
// of vectorshard_peer. In such a session its statements read enrolled tables as if by a superuser, row security included, for
// the asking node sees to both; functions in them run with the role's own rights. What it changes it may only change in the
// form in which nodes do, by values alone; that runs with the rights of the table's owner, so that his triggers and checks
// can use neither the role's rights nor a superuser's.
#pragma once
#include "pg/bridge/postgres.hpp"
extern "C" {
#include "executor/execdesc.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "utils/guc.h"
}

namespace vectorshard::read {

/// After the analysis of a statement: gives its enrolled tables these rights, if the session is a peer's.
void grant_to_peer(Query *query);

/// Whose rights a change has that a peer asks for; InvalidOid: those that the session has anyway.
Oid owner_for_peer(const QueryDesc *query);

/// Plain C: after an error PostgreSQL itself takes rights and settings back, with the transaction or its part. Settings that
/// triggers make do not outlive the statement: the next ones of the peer depend on them.
template <class Run>
void with_rights_of(Oid owner, Run run) {
  if (!OidIsValid(owner)) return run();
  Oid user;
  int context;
  GetUserIdAndSecContext(&user, &context);
  int level = NewGUCNestLevel();
  SetUserIdAndSecContext(owner, context | SECURITY_LOCAL_USERID_CHANGE | SECURITY_NOFORCE_RLS);
  run();
  SetUserIdAndSecContext(user, context);
  AtEOXact_GUC(false, level);
}

void init_peer_rights();

}  // namespace vectorshard::read
