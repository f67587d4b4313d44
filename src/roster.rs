//! Who is banned in one jail, until when, and whether the firewall has confirmed it.
