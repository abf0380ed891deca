// Values to and from text: see row_text.hpp.
#include "pg/read/row_text.hpp"

#include <set>

#include "pg/bridge/guard.hpp"
#include "pg/bridge/merging_types.hpp"
extern "C" {
#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
}

namespace vectorshard::read {

RowInput::RowInput(TupleDesc desc, const std::vector<AttrNumber> &columns) : columns_(columns) {
  size_t n = columns_.size();
  inputs_ = bridge::pg_call([&] {
    Input *inputs = static_cast<Input *>(palloc0(sizeof(Input) * (n + 1)));
    for (size_t i = 0; i < n; i++) {
      Form_pg_attribute a = TupleDescAttr(desc, columns_[i] - 1);
      Oid function;
      getTypeInputInfo(a->atttypid, &function, &inputs[i].param);
      fmgr_info(function, &inputs[i].function);
      inputs[i].typmod = a->atttypmod;
    }
    return inputs;
  });
}

void RowInput::store_texts(TupleTableSlot *slot, const char *const *texts) const {
  bridge::pg_call([&] {
    ExecClearTuple(slot);
    memset(slot->tts_isnull, true, static_cast<size_t>(slot->tts_tupleDescriptor->natts));
    for (size_t i = 0; i < columns_.size(); i++) {
      int at = columns_[i] - 1;
      // Input functions take char *, but do not write.
      slot->tts_values[at] = InputFunctionCall(&inputs_[i].function, const_cast<char *>(texts[i]), inputs_[i].param,
                                               inputs_[i].typmod);
      slot->tts_isnull[at] = texts[i] == nullptr;
    }
    ExecStoreVirtualTuple(slot);
  });
}

StableOutput::StableOutput() : exceptions_(std::uncaught_exceptions()) {
  level_ = bridge::pg_call([] {
    int level = NewGUCNestLevel();
    auto set = [](const char *name, const char *value) {
      (void)set_config_option(name, value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
    };
    set("datestyle", "ISO, YMD");
    set("intervalstyle", "postgres");
    set("timezone", "UTC");
    set("extra_float_digits", "3");
    set("bytea_output", "hex");
    set("search_path", "pg_catalog");
    return level;
  });
}

StableOutput::~StableOutput() {
  if (std::uncaught_exceptions() == exceptions_) AtEOXact_GUC(true, level_);
}

std::string text_of(Oid type, Datum value) {
  const char *data;
  int length;
  if (type == TEXTOID || type == VARCHAROID) {
    text *s = bridge::pg_call([&] { return DatumGetTextPP(value); });
    data = VARDATA_ANY(s);
    length = static_cast<int>(VARSIZE_ANY_EXHDR(s));
  } else {
    data = bridge::pg_call([&] {
      Oid output;
      bool varlena;
      getTypeOutputInfo(type, &output, &varlena);
      return OidOutputFunctionCall(output, value);
    });
    length = static_cast<int>(strlen(data));
  }
  return std::string(data, static_cast<size_t>(length));
}

std::optional<std::string> text_of(TupleTableSlot *slot, AttrNumber column) {
  bool null;
  Datum value = bridge::pg_call([&] { return slot_getattr(slot, column, &null); });
  if (null) return std::nullopt;
  Oid type = TupleDescAttr(slot->tts_tupleDescriptor, column - 1)->atttypid;
  return bridge::merging_kind(type) ? bridge::merging_state_text(type, value) : text_of(type, value);
}

std::vector<std::string> names_in(Datum array, Oid array_type) {
  Oid type = bridge::pg_call([&] { return getBaseType(get_base_element_type(array_type)); });
  Datum *values;
  bool *nulls;
  int n;
  bridge::pg_call([&] {
    int16 length;
    bool by_value;
    char align;
    get_typlenbyvalalign(type, &length, &by_value, &align);
    deconstruct_array(DatumGetArrayTypeP(array), type, length, by_value, align, &values, &nulls, &n);
  });
  std::set<std::string> names;
  for (int i = 0; i < n; i++)
    if (!nulls[i]) names.insert(text_of(type, values[i]));
  return {names.begin(), names.end()};
}

}  // namespace vectorshard::read
