mod content;
mod interleavings;
mod plan;
mod simulation;
