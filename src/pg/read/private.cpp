// ScanPlan to and from the list that a plan carries: see private.hpp.
#include "pg/read/private.hpp"

extern "C" {
#include "nodes/pg_list.h"
#include "nodes/value.h"
}

namespace vectorshard::read {

List *to_private(const ScanPlan &plan) {
  List *numbers = NIL;
  numbers = lappend_int(numbers, static_cast<int>(plan.role));
  numbers = lappend_int(numbers, static_cast<int>(plan.naming));
  numbers = lappend_int(numbers, plan.changes);
  numbers = lappend_int(numbers, plan.lock_strength);
  numbers = lappend_int(numbers, plan.client_attnum);
  numbers = lappend_int(numbers, plan.wait_policy);
  numbers = lappend_int(numbers, plan.ahead);
  return list_make4(numbers, list_make1_oid(plan.parent), plan.columns, plan.conditions);
}

ScanPlan from_private(List *fdw_private) {
  List *numbers = static_cast<List *>(linitial(fdw_private));
  ScanPlan plan;
  plan.role = static_cast<Role>(linitial_int(numbers));
  plan.naming = static_cast<Naming>(lsecond_int(numbers));
  plan.changes = lthird_int(numbers);
  plan.lock_strength = lfourth_int(numbers);
  plan.client_attnum = static_cast<AttrNumber>(list_nth_int(numbers, 4));
  plan.wait_policy = list_nth_int(numbers, 5);
  plan.ahead = list_nth_int(numbers, 6);
  plan.parent = linitial_oid(static_cast<List *>(lsecond(fdw_private)));
  plan.columns = static_cast<List *>(lthird(fdw_private));
  plan.conditions = static_cast<List *>(lfourth(fdw_private));
  return plan;
}

}  // namespace vectorshard::read
