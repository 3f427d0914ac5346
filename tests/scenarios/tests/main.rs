//! All scenarios of real processes, in one program: to link one for each takes longer than most of them run.

mod agreement;
mod beginning;
mod command_line;
mod crashes;
mod damage;
mod healing;
mod refusals;
mod scrubber;
mod state_sync;
mod upkeep;
