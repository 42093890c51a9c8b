// Package score plays a made-up log against the decisions of a replay of it,
// and says what they would have stopped, how soon, and whom they would have hit.
//
// The log is read once, in its order, beside the labels of its lines. What a
// line asks for is read by the same decoder and enriched from the same tables
// as in a replay, so that a target means here what it meant to the engine.
package score
