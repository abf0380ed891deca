// Whatever text a name or value has, it stays inside its quotes; statements have the form that other nodes understand.
#include "core/read/statements.hpp"

#include <gtest/gtest.h>

using namespace vectorshard::read;

TEST(ReadStatements, QuotesCannotBeLeft) {
  EXPECT_EQ(quote_name("a\"b"), "\"a\"\"b\"");
  EXPECT_EQ(quote_value("it's"), "'it''s'");
  EXPECT_EQ(quote_value("a\\'; DROP TABLE t; --"), "E'a\\\\''; DROP TABLE t; --'");
  EXPECT_EQ(array_text({}), "{}");
  EXPECT_EQ(array_text({"a", "b c", "q\"\\", "", "NULL", "{}"}), "{\"a\",\"b c\",\"q\\\"\\\\\",\"\",\"NULL\",\"{}\"}");
}

TEST(ReadStatements, SelectOfNamedClients) {
  SelectSpec s;
  s.table = "public.trip";
  s.client_column = "car";
  s.columns = {"id", "note"};
  s.clients = std::vector<std::string>{"car1"};
  EXPECT_EQ(select_statement(s), "SELECT t.\"id\", t.\"note\" FROM public.trip t WHERE t.\"car\" = 'car1'");
  s.clients = std::vector<std::string>{"car1", "car2"};
  s.conditions = {"id > 3"};
  s.locking = "UPDATE NOWAIT";
  EXPECT_EQ(select_statement(s),
            "SELECT t.\"id\", t.\"note\" FROM public.trip t WHERE t.\"car\" = ANY ('{\"car1\",\"car2\"}') AND (id > 3) "
            "FOR UPDATE NOWAIT");
  s.clients = std::vector<std::string>{"car1"};
  s.conditions = {};
  s.locking = "";
  s.state_columns = {"note"};
  EXPECT_EQ(select_statement(s),
            "SELECT t.\"id\", vectorshard.crdt_state(t.\"note\") FROM public.trip t WHERE t.\"car\" = 'car1'");
}

TEST(ReadStatements, SelectOfAHome) {
  SelectSpec s;
  s.table = "public.trip";
  s.client_column = "car";
  s.columns = {"car"};
  s.home = 3;
  s.leave_out = {"car9"};
  EXPECT_EQ(select_statement(s),
            "SELECT t.\"car\" FROM public.trip t WHERE EXISTS (SELECT FROM vectorshard.client h WHERE h.client = "
            "(t.\"car\")::text COLLATE \"C\" AND h.home = 3) AND (t.\"car\")::text COLLATE \"C\" <> ALL "
            "('{\"car9\"}'::text[])");
}

TEST(ReadStatements, MoreThanRows) {
  SelectSpec s;
  s.table = "public.trip";
  s.client_column = "car";
  s.clients = std::vector<std::string>{"c"};
  s.outputs = {"t.kind", "(t.km / 2)", "count(*)"};
  s.groups = 2;
  EXPECT_EQ(select_statement(s), "SELECT t.kind, (t.km / 2), count(*) FROM public.trip t WHERE t.\"car\" = 'c' GROUP BY 1, 2");
  s.outputs = {"t.kind"};
  s.groups = 0;
  s.distinct = true;
  EXPECT_EQ(select_statement(s), "SELECT DISTINCT t.kind FROM public.trip t WHERE t.\"car\" = 'c'");
  s.outputs = {};
  s.columns = {"id"};
  s.distinct = false;
  s.conditions = {"id > 3"};
  s.order = {"(t.km) DESC NULLS LAST", "(t.id) NULLS LAST"};
  s.limit = 7;
  EXPECT_EQ(select_statement(s),
            "SELECT t.\"id\" FROM public.trip t WHERE t.\"car\" = 'c' AND (id > 3) ORDER BY (t.km) DESC NULLS LAST, (t.id) NULLS LAST LIMIT 7");
}

TEST(ReadStatements, AJoinAtAHome) {
  SelectSpec s;
  s.outputs = {"t1.id"};
  s.home = 3;
  s.from = {{"((SELECT * FROM public.trip t1 WHERE ", "t1.\"car\""}, {") t1 JOIN public.visit t2 ON ((t1.car = t2.car)))", ""}};
  std::string from = "SELECT t1.id FROM ((SELECT * FROM public.trip t1 WHERE EXISTS (SELECT FROM vectorshard.client h WHERE h.client = "
                     "(t1.\"car\")::text COLLATE \"C\" AND h.home = 3)) t1 JOIN public.visit t2 ON ((t1.car = t2.car)))";
  EXPECT_EQ(select_statement(s), from);
  s.conditions = {"t1.id > 2"};
  EXPECT_EQ(select_statement(s), from + " WHERE (t1.id > 2)");
}

TEST(ReadStatements, Changes) {
  EXPECT_EQ(update_statement("public.trip", false, {{"note", "x"}, {"at", std::nullopt}}, {{"car", "c'1"}, {"id", "7"}},
                             {"id"}),
            "UPDATE public.trip SET \"note\" = 'x', \"at\" = NULL WHERE \"car\" = 'c''1' AND \"id\" = '7' RETURNING \"id\"");
  EXPECT_EQ(delete_statement("public.trip", true, {{"car", "c"}}, {}), "DELETE FROM ONLY public.trip WHERE \"car\" = 'c'");
}

TEST(ReadStatements, AHolderTellsWhetherItHasTheClients) {
  SelectSpec s;
  s.table = "public.trip";
  s.client_column = "car";
  s.columns = {"car", "id"};
  s.clients = std::vector<std::string>{"car1"};
  s.conditions = {"id > 3"};
  EXPECT_EQ(holder_statement(s),
            "WITH h AS MATERIALIZED (SELECT vectorshard.holds('{\"car1\"}'::text[]) AS holds) SELECT h.holds, t.\"car\", t.\"id\" "
            "FROM h LEFT JOIN ONLY public.trip t ON h.holds AND t.\"car\" = 'car1' AND (id > 3)");
}
