package policytest

import (
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/tokenboundary/tokenboundary/internal/requestdoc"
	"github.com/tokenboundary/tokenboundary/internal/yamldoc"
	"github.com/tokenboundary/tokenboundary/policy"
)

// suffix is how the names of files with tests end.
const suffix = "_test.yaml"

// maxFiles bounds the files with tests of one set.
const maxFiles = 10_000

// FileError says what is wrong with the tests themselves: the first problem of each file.
type FileError struct{ Problems []policy.Problem }

// Error implements error: one problem a line.
func (e *FileError) Error() string {
	lines := []string{"policytest: the tests cannot be run"}
	for _, p := range e.Problems {
		lines = append(lines, p.String())
	}
	return strings.Join(lines, "\n")
}

// readTree reads the tests of a set.
func readTree(fsys fs.FS, known *rules) ([]example, error) {
	files, err := find(fsys)
	if err != nil {
		return nil, err
	}
	var out []example
	var problems []policy.Problem
	for _, name := range files {
		data, err := yamldoc.ReadFile(fsys, name, requestdoc.Limits)
		if err != nil {
			problems = append(problems, policy.Problem{File: name, Message: "cannot be read"})
			continue
		}
		list, bad := parse(name, data, known)
		if bad != nil {
			problems = append(problems, policy.Problem{File: name, Line: bad.Line, Message: bad.String()})
			continue
		}
		out = append(out, list...)
	}
	if len(problems) > 0 {
		return nil, &FileError{problems}
	}
	return out, nil
}

// find lists the files with tests, as Load goes through the tree: what starts with a dot is passed over.
func find(fsys fs.FS) ([]string, error) {
	var out []string
	err := fs.WalkDir(fsys, ".", func(file string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case file != "." && strings.HasPrefix(path.Base(file), "."):
			if e.IsDir() {
				return fs.SkipDir
			}
		case e.Type().IsRegular() && strings.HasSuffix(file, suffix):
			out = append(out, file)
		}
		if len(out) > maxFiles {
			return fmt.Errorf("policytest: more than %d files with tests", maxFiles)
		}
		return nil
	})
	return out, err
}
