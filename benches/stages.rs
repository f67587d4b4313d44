//! What each stage of a line's and a ban's way costs, alone and without I/O but for the store's. `make bench`.
//!
//! All of it goes through the library's public interface, so a stage is what its neighbours see of it.

mod lines;
mod stages {
    mod dates;
    mod jail;
    mod lines;
    mod netlink;
    mod prefilter;
    mod schedule;
    mod store;
    mod tracker;
}

fn main() {
    divan::main();
}
