//! [`debug_is_display!`](crate::debug_is_display): `Debug` of errors that a program may return from `main`.
//!
//! Errors of this crate and of `lm` use it.

/// Implements `Debug` with the text of `Display`: Rust prints `Debug` of an error that `main` returns.
#[macro_export]
macro_rules! debug_is_display {
    ($error:ty) => {
        impl ::core::fmt::Debug for $error {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                ::core::fmt::Display::fmt(self, f)
            }
        }
    };
}
