// Package emit hands over what was decided: for now as lines in a file.
package emit
