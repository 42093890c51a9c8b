// Package seal tells whether a file that only ever grows still begins with what
// was once written to it.
package seal
