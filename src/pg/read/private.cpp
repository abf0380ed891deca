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
  numbers = lappend_int(numbers, static_cast<int>(plan.part));
  numbers = lappend_int(numbers, plan.exact);
  numbers = lappend_int(numbers, plan.distinct);
  numbers = lappend_int(numbers, plan.groups);
  numbers = lappend_int(numbers, plan.limit);
  numbers = lappend_int(numbers, plan.packed);
  List *out = list_make4(numbers, list_make2_oid(plan.parent, plan.table), plan.columns, plan.conditions);
  out = lappend(lappend(lappend(out, plan.outputs), plan.order), plan.order_flags);
  return lappend(lappend(out, plan.leaves), plan.join);
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
  plan.part = static_cast<Part>(list_nth_int(numbers, 7));
  plan.exact = list_nth_int(numbers, 8);
  plan.distinct = list_nth_int(numbers, 9);
  plan.groups = list_nth_int(numbers, 10);
  plan.limit = list_nth_int(numbers, 11);
  plan.packed = list_nth_int(numbers, 12);
  plan.parent = linitial_oid(static_cast<List *>(lsecond(fdw_private)));
  plan.table = lsecond_oid(static_cast<List *>(lsecond(fdw_private)));
  plan.columns = static_cast<List *>(lthird(fdw_private));
  plan.conditions = static_cast<List *>(lfourth(fdw_private));
  plan.outputs = static_cast<List *>(list_nth(fdw_private, 4));
  plan.order = static_cast<List *>(list_nth(fdw_private, 5));
  plan.order_flags = static_cast<List *>(list_nth(fdw_private, 6));
  plan.leaves = static_cast<List *>(list_nth(fdw_private, 7));
  plan.join = static_cast<List *>(list_nth(fdw_private, 8));
  return plan;
}

}  // namespace vectorshard::read
