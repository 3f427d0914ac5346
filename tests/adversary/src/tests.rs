mod bench;
mod every;
mod others;
mod thesis;
