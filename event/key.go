package event

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/zeebo/xxh3"
)

// Key is the secret behind all pseudonyms and keyed hashes of a state. Who
// does not hold it can neither choose values that collide nor recognise one.
type Key struct {
	secret [32]byte
	seed   uint64
}

// NewKey makes a key of a secret of at least 16 bytes.
func NewKey(secret []byte) (*Key, error) {
	if len(secret) < 16 {
		return nil, fmt.Errorf("key: %d bytes, must be at least 16", len(secret))
	}
	k := &Key{secret: sha256.Sum256(secret)}
	k.seed = binary.LittleEndian.Uint64(k.MAC("weir hash seed", nil))
	return k, nil
}

// FixedKey is the key of a replay that was given none. Everybody knows it.
func FixedKey() *Key {
	k, err := NewKey([]byte("weir replay without a key file"))
	if err != nil {
		panic(err) // the literal is long enough
	}
	return k
}

// LoadKey reads a key file. One that others than its owner can read is refused.
func LoadKey(path string) (*Key, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("key file %s does not exist; make one with: (umask 077; head -c 32 /dev/urandom > %s)", path, path)
	}
	if err != nil {
		return nil, fmt.Errorf("key file: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("key file %s: mode %04o, must not be open to others (chmod 600)", path, info.Mode().Perm())
	}
	if info.Size() > 4096 {
		return nil, fmt.Errorf("key file %s: %d bytes, must be at most 4096", path, info.Size())
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("key file: %w", err)
	}
	k, err := NewKey(b)
	if err != nil {
		return nil, fmt.Errorf("key file %s: %w", path, err)
	}
	return k, nil
}

// Hash returns a keyed 64-bit hash of b (XXH3 with a secret seed).
func (k *Key) Hash(b []byte) uint64 { return xxh3.HashSeed(b, k.seed) }

// HashString is Hash of a string.
func (k *Key) HashString(s string) uint64 { return xxh3.HashStringSeed(s, k.seed) }

// HashShort is a keyed hash of up to eight bytes in v: a bijection, so that
// different values never collide (MurmurHash3's finalizer between secret seeds).
func (k *Key) HashShort(v uint64, size int) uint64 {
	return Mix(Mix(v^k.seed) + k.seed + uint64(size))
}

// Mix spreads a 64-bit state: MurmurHash3's finalizer (Austin Appleby, public
// domain), a bijection.
func Mix(x uint64) uint64 {
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	x *= 0xc4ceb9fe1a85ec53
	return x ^ x>>33
}

// HMACKey returns the key of the MACs of one purpose: derived from the secret,
// or with an empty purpose the secret itself.
func (k *Key) HMACKey(purpose string) []byte {
	if purpose == "" {
		return append([]byte(nil), k.secret[:]...)
	}
	m := hmac.New(sha256.New, k.secret[:])
	m.Write([]byte(purpose))
	return m.Sum(nil)
}

// MAC returns HMAC-SHA-256 of b under the key of a purpose.
func (k *Key) MAC(purpose string, b []byte) []byte {
	m := hmac.New(sha256.New, k.HMACKey(purpose))
	m.Write(b)
	return m.Sum(nil)
}
