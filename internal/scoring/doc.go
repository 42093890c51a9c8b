// Command scoring makes up logs of every scenario, replays them with the rules
// that ship, scores what was decided, and holds the figures against those that
// docs/DETECTION.md shows.
package main
