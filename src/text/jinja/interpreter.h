#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/jinja/syntax.h"

namespace tenon::text {

// The names that a part of a template sees. What a part sets is gone behind it.
struct Scope {
  std::shared_ptr<Scope> parent;
  std::vector<std::pair<std::string_view, Value>> values;  // names live in the syntax

  const Value* find(std::string_view name) const;
  void set(std::string_view name, Value value);
};

// Runs one template once. Walks the syntax; recursion is bounded by DepthGuard.
class Interpreter {
 public:
  Interpreter(const Syntax& syntax, RenderState& state) : syntax_(syntax), state_(state) {}
  ~Interpreter();
  Interpreter(const Interpreter&) = delete;
  Interpreter& operator=(const Interpreter&) = delete;

  // A name that the whole template sees. `name` must outlive this.
  void define(std::string_view name, Value value) { root_->set(name, std::move(value)); }
  MarkedText run();

 private:
  enum class Flow { On, Break, Continue };
  using ScopePtr = std::shared_ptr<Scope>;

  // statements.cc
  Flow run_body(const Body& body, const ScopePtr& scope);
  Flow run_one(const Stmt& statement, const ScopePtr& scope);
  Flow run_if(const Stmt& statement, const ScopePtr& scope);
  Flow run_for(const Stmt& statement, const ScopePtr& scope);
  void run_loop(const Stmt& statement, const ScopePtr& scope, const Value& iterable, int64_t depth);
  Values filtered_items(const Stmt& statement, const ScopePtr& scope, Values items);
  void run_with(const Stmt& statement, const ScopePtr& scope);
  void run_call_block(const Stmt& statement, const ScopePtr& scope);
  Value make_macro(const Stmt& macro, const ScopePtr& scope, std::string_view name);
  Value call_macro(const Stmt& macro, const ScopePtr& scope, Call& call);
  void assign(const Expr& target, const ScopePtr& scope, const Value& value);
  Value capture(const Body& body, const ScopePtr& scope);
  void write(const MarkedText& text);
  void write(std::string_view text);
  void make_room(size_t bytes, size_t memory);
  ScopePtr inner(const ScopePtr& scope) { return std::make_shared<Scope>(Scope{scope, {}}); }
  // Macros hold the scope that holds them; namespaces may hold themselves. Such rings are broken
  // when the rendering is over.
  void remember(const ScopePtr& scope);

  // expressions.cc
  Value evaluate(const Expr& expr, const ScopePtr& scope);
  Value evaluate_optional(const ExprPtr& expr, const ScopePtr& scope);
  Value look_up(const Expr& expr, const ScopePtr& scope);
  Value evaluate_call(const Expr& expr, const ScopePtr& scope, const Value* caller = nullptr);
  Value evaluate_builtin(const Expr& expr, const ScopePtr& scope);
  Value evaluate_compare(const Expr& expr, const ScopePtr& scope);
  Value evaluate_logic(const Expr& expr, const ScopePtr& scope);
  Value evaluate_collection(const Expr& expr, const ScopePtr& scope);
  Value evaluate_conditional(const Expr& expr, const ScopePtr& scope);
  void collect_arguments(const Expr& expr, const ScopePtr& scope, Call& call);
  Value make_namespace(Call& call);

  const Syntax& syntax_;
  RenderState& state_;
  ScopePtr root_ = std::make_shared<Scope>();
  MarkedText* out_ = nullptr;
  Charge* out_charge_ = nullptr;
  Value block_text_;  // what the filters of a block are applied to
  std::vector<std::shared_ptr<NamespaceObject>> namespaces_;
  std::vector<ScopePtr> scopes_;
};

}  // namespace tenon::text
