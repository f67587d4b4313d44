//! Operators' stories, told to the real kernel and the real program; one file a story.

mod nft;
