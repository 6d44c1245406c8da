package main

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// seenFile is the file beside the signing keys.
const seenFile = "position.json"

// seen is its content: what this node has seen of the store.
type seen struct {
	Node string `json:"node"` // name of the node in the store
	Seq  uint64 `json:"seq"`  // newest place of the feed
	stamp
	// Was is set while a start puts the stamp into the store, which may still have this one.
	Was *stamp `json:"was,omitempty"`
}

// readSeen reads the file in a directory. Where there is none, the node gets a name, and joins; it joins still where it broke
// off its first start, before which it had no mark in any store.
func readSeen(dir string) (s seen, joins bool, err error) {
	file := filepath.Join(dir, seenFile)
	raw, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return seen{Node: rand.Text()}, true, nil
	}
	if err == nil {
		err = json.Unmarshal(raw, &s)
	}
	if err != nil {
		return seen{}, false, fmt.Errorf("%s: %w", file, err)
	}
	if s.Node == "" { // of a store that had no id either: it is unknown
		s.Node = rand.Text()
	}
	return s, s.Was != nil && s.Was.Mark == "", nil
}

// write replaces the file in a directory, which is made if need be.
func (s seen) write(dir string) error {
	raw, err := json.Marshal(s)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".new-*") // mode 0600
	if err != nil {
		return err
	}
	_, err = f.Write(raw)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), filepath.Join(dir, seenFile))
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

// keysIn returns the ids of the private keys in a directory.
func keysIn(dir string) ([]string, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.pem"))
	for i, file := range files {
		files[i] = strings.TrimSuffix(filepath.Base(file), ".pem")
	}
	return files, err
}
