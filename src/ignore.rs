//! Who is never counted and never banned automatically.
