package state

import "fmt"

// PutAside moves the store in a directory, which must not be open, out of the way
// as one that is damaged, and returns where it stands then. The next Open begins a
// new one.
func PutAside(dir string, why error) (where string, err error) {
	if where, err = putAside(dir, why); err != nil {
		return "", fmt.Errorf("putting the store aside: %w", err)
	}
	return where, nil
}
