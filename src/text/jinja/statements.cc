#include <algorithm>

#include "base/limits.h"
#include "base/text.h"
#include "text/jinja/builtins.h"
#include "text/jinja/interpreter.h"
#include "text/jinja/print.h"

namespace tenon::text {

const Value* Scope::find(std::string_view name) const {
  for (const Scope* scope = this; scope; scope = scope->parent.get()) {
    for (const auto& [key, value] : scope->values) {
      if (key == name) return &value;
    }
  }
  return nullptr;
}

void Scope::set(std::string_view name, Value value) {
  for (auto& [key, old] : values) {
    if (key != name) continue;
    old = std::move(value);
    return;
  }
  values.emplace_back(name, std::move(value));
}

Interpreter::~Interpreter() {
  for (const auto& space : namespaces_) space->attributes.clear();
  for (const auto& scope : scopes_) scope->values.clear();
}

void Interpreter::remember(const ScopePtr& scope) {
  if (!scopes_.empty() && scopes_.back() == scope) return;
  constexpr size_t kScopeBytes = 512;
  state_.hold(kScopeBytes);
  scopes_.push_back(scope);
}

MarkedText Interpreter::run() {
  MarkedText out;
  Charge charge(&state_, 0);
  out_ = &out;
  out_charge_ = &charge;
  run_body(syntax_.body, root_);
  return out;
}

void Interpreter::make_room(size_t bytes, size_t memory) {
  state_.work_on_bytes(bytes);
  if (static_cast<int64_t>(out_->size() + bytes) > kLimits.template_output_bytes) {
    throw state_.error("the template's output is too long")
        .accepted("at most " + format_bytes(static_cast<uint64_t>(kLimits.template_output_bytes)));
  }
  out_charge_->grow(memory);
}

void Interpreter::write(const MarkedText& text) {
  make_room(text.size(), text.memory());
  out_->append(text);
}

void Interpreter::write(std::string_view text) {
  make_room(text.size(), text.size());
  out_->append(text);
}

// The output of a body as a string.
Value Interpreter::capture(const Body& body, const ScopePtr& scope) {
  MarkedText text;
  Charge charge(&state_, 0);
  MarkedText* outer = std::exchange(out_, &text);
  Charge* outer_charge = std::exchange(out_charge_, &charge);
  run_body(body, scope);
  out_ = outer;
  out_charge_ = outer_charge;
  return make_string(state_, std::move(text));
}

Interpreter::Flow Interpreter::run_body(const Body& body, const ScopePtr& scope) {
  DepthGuard guard(state_);
  for (const auto& statement : body) {
    Flow flow = run_one(*statement, scope);
    if (flow != Flow::On) return flow;
  }
  return Flow::On;
}

Interpreter::Flow Interpreter::run_one(const Stmt& statement, const ScopePtr& scope) {
  state_.enter(statement.place);
  state_.work();
  switch (statement.kind) {
    case Stmt::Kind::Text:
      write(statement.text);
      break;
    case Stmt::Kind::Output:
      write(to_text(state_, evaluate(*statement.expressions[0], scope)));
      break;
    case Stmt::Kind::If:
      return run_if(statement, scope);
    case Stmt::Kind::For:
      return run_for(statement, scope);
    case Stmt::Kind::Set:
      assign(*statement.target, scope, evaluate(*statement.expressions[0], scope));
      break;
    case Stmt::Kind::SetBlock: {
      block_text_ = capture(statement.body, inner(scope));
      bool filtered = !statement.expressions.empty();
      Value value = filtered ? evaluate(*statement.expressions[0], scope) : block_text_;
      assign(*statement.target, scope, value);
      break;
    }
    case Stmt::Kind::Macro:
      scope->set(statement.name, make_macro(statement, scope, statement.name));
      break;
    case Stmt::Kind::Call:
      run_call_block(statement, scope);
      break;
    case Stmt::Kind::FilterBlock:
      block_text_ = capture(statement.body, inner(scope));
      write(to_text(state_, evaluate(*statement.expressions[0], scope)));
      break;
    case Stmt::Kind::With:
      run_with(statement, scope);
      break;
    case Stmt::Kind::Group:
      return run_body(statement.body, scope);
    case Stmt::Kind::Break:
      return Flow::Break;
    case Stmt::Kind::Continue:
      return Flow::Continue;
  }
  return Flow::On;
}

Interpreter::Flow Interpreter::run_if(const Stmt& statement, const ScopePtr& scope) {
  for (const auto& [condition, body] : statement.branches) {
    if (is_true(evaluate(*condition, scope))) return run_body(body, scope);
  }
  return run_body(statement.otherwise, scope);
}

Interpreter::Flow Interpreter::run_for(const Stmt& statement, const ScopePtr& scope) {
  run_loop(statement, scope, evaluate(*statement.expressions[0], scope), 1);
  return Flow::On;
}

Values Interpreter::filtered_items(const Stmt& statement, const ScopePtr& scope, Values items) {
  if (!statement.condition) return items;
  Values kept;
  for (const Value& item : items) {
    ScopePtr own = inner(scope);
    assign(*statement.target, own, item);
    if (is_true(evaluate(*statement.condition, own))) kept.push_back(item);
  }
  return kept;
}

void Interpreter::run_loop(const Stmt& statement, const ScopePtr& scope, const Value& iterable,
                           int64_t depth) {
  Values items = filtered_items(statement, scope, to_items(state_, iterable));
  if (items.empty()) {
    run_body(statement.otherwise, inner(scope));
    return;
  }
  size_t bytes = items.capacity() * sizeof(Value);
  auto loop = std::make_shared<LoopObject>(
      LoopObject{std::move(items), 0, depth, Value(), false, nullptr, Charge(&state_, bytes)});
  if (statement.recursive) {
    loop->recurse = [this, &statement, scope, depth](Call& call) {
      Bound given(call, {"iterable"}, 1);
      DepthGuard guard(state_);
      MarkedText text;
      Charge charge(&state_, 0);
      MarkedText* outer = std::exchange(out_, &text);
      Charge* outer_charge = std::exchange(out_charge_, &charge);
      run_loop(statement, scope, *given[0], depth + 1);
      out_ = outer;
      out_charge_ = outer_charge;
      return make_string(state_, std::move(text));
    };
  }
  for (; loop->index < loop->items.size(); ++loop->index) {
    ScopePtr own = inner(scope);
    own->set("loop", Value(loop));
    assign(*statement.target, own, loop->items[loop->index]);
    if (run_body(statement.body, own) == Flow::Break) break;
  }
}

void Interpreter::run_with(const Stmt& statement, const ScopePtr& scope) {
  ScopePtr own = inner(scope);
  for (const auto& [name, value] : statement.parameters) own->set(name, evaluate(*value, scope));
  run_body(statement.body, own);
}

void Interpreter::run_call_block(const Stmt& statement, const ScopePtr& scope) {
  Value caller = make_macro(statement, scope, "caller");
  write(to_text(state_, evaluate_call(*statement.expressions[0], scope, &caller)));
}

Value Interpreter::make_macro(const Stmt& macro, const ScopePtr& scope, std::string_view name) {
  remember(scope);
  return make_callable(state_, std::string(name), [this, &macro, scope](Call& call) {
    return call_macro(macro, scope, call);
  });
}

Value Interpreter::call_macro(const Stmt& macro, const ScopePtr& scope, Call& call) {
  DepthGuard guard(state_);
  ScopePtr own = inner(scope);
  const auto& parameters = macro.parameters;
  if (call.positional.size() > parameters.size()) {
    throw state_.error("macro " + macro.name + "() has too many arguments")
        .got(std::to_string(call.positional.size()))
        .accepted("at most " + std::to_string(parameters.size()));
  }
  for (size_t i = 0; i < call.positional.size(); ++i) {
    own->set(parameters[i].first, call.positional[i]);
  }
  for (auto& [name, value] : call.named) {
    auto found = std::ranges::find(parameters, name, [](const auto& p) { return p.first; });
    auto index = static_cast<size_t>(found - parameters.begin());
    if (found == parameters.end() && name == "caller") {
      own->set("caller", value);
    } else if (found == parameters.end() || index < call.positional.size()) {
      throw state_.error("macro " + macro.name + "() has no free argument '" + name + "'");
    } else {
      own->set(found->first, value);
    }
  }
  size_t given = own->values.size();
  for (size_t i = call.positional.size(); i < parameters.size(); ++i) {
    const std::string& name = parameters[i].first;
    const auto& otherwise = parameters[i].second;
    auto end = own->values.begin() + static_cast<std::ptrdiff_t>(given);
    if (std::any_of(own->values.begin(), end, [&](auto& v) { return v.first == name; })) continue;
    own->set(name, otherwise ? evaluate(*otherwise, own)
                             : Value::undefined("argument '" + name + "' was not given"));
  }
  return capture(macro.body, own);
}

void Interpreter::assign(const Expr& target, const ScopePtr& scope, const Value& value) {
  if (target.kind == Expr::Kind::Name) {
    scope->set(target.name, value);
    return;
  }
  state_.enter(target.place);
  if (target.kind == Expr::Kind::Tuple) {
    Values items = to_items(state_, value);
    if (items.size() != target.operands.size()) {
      throw state_.error("a list does not fit the names it is given to")
          .got(std::to_string(items.size()) + " items")
          .accepted(std::to_string(target.operands.size()));
    }
    for (size_t i = 0; i < items.size(); ++i) assign(*target.operands[i], scope, items[i]);
    return;
  }
  Value space = evaluate(*target.operands[0], scope);
  if (!space.is(Value::Kind::Namespace)) {
    throw state_.error("only a namespace has attributes that can be set")
        .got(std::string(type_name(space)));
  }
  NamedValues& attributes = space.name_space().attributes;
  auto found = std::ranges::find(attributes, target.name, [](auto& a) { return a.first; });
  if (found != attributes.end()) {
    found->second = value;
  } else {
    attributes.emplace_back(target.name, value);
  }
}

}  // namespace tenon::text
