#pragma once

#include <type_traits>
#include <utility>
#include <variant>

namespace tenon {

// std::variant whose copies survive an allocation that fails. libstdc++ 12 takes variants of
// strings and vectors for ones that always hold a value: where copying one throws, it destroys the
// value that was never made, by an index that was never set, and jumps anywhere.
template <class... Types>
class Variant : public std::variant<Types...> {
  using Base = std::variant<Types...>;

 public:
  using Base::Base;
  using Base::operator=;
  Variant() = default;
  Variant(Variant&&) = default;
  Variant& operator=(Variant&&) = default;
  Variant(const Variant& other) : Base(copy_of(other)) {}
  Variant& operator=(const Variant& other) {
    Base::operator=(copy_of(other));
    return *this;
  }
  ~Variant() = default;

 private:
  static Base copy_of(const Base& other) {
    return std::visit(
        [](const auto& value) {
          return Base(std::in_place_type<std::remove_cvref_t<decltype(value)>>, value);
        },
        other);
  }
};

}  // namespace tenon
