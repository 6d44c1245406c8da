package policy

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/tokenboundary/tokenboundary/internal/canon"
	"github.com/tokenboundary/tokenboundary/internal/yamldoc"
)

// The documents with a meaning of their own.
const (
	guardrailFile = "boundary.yaml"
	catalogName   = "catalog.yaml"
	suffix        = ".yaml"
	testSuffix    = "_test.yaml"
)

// source is a document that was found, not yet read.
type source struct {
	file string // slash-separated, relative to the root
	kind kind
	sum  [sha256.Size]byte
}

// kind is what a document is by its name.
type kind uint8

const (
	aLeaf kind = iota
	aGuardrail
	aCatalog
)

func kindByName(name string) kind {
	switch name {
	case guardrailFile:
		return aGuardrail
	case catalogName:
		return aCatalog
	}
	return aLeaf
}

// Load reads the policy set in fsys and compiles it. The set loads whole or not at all: what is wrong with it comes
// back in one *LoadError. A set without a single leaf is refused too.
func Load(fsys fs.FS) (*Set, error) {
	return loadSet(fsys, atOnce())
}

func loadSet(fsys fs.FS, how loading) (*Set, error) {
	set, docs, err := loadDocuments(fsys, how)
	each(docs, func(_ *document, r *rule) { r.draft = nil })
	return set, err
}

// loadDocuments is Load for who needs the documents as well, with the drafts of their rules.
func loadDocuments(fsys fs.FS, how loading) (*Set, []*document, error) {
	found, problems := find(fsys, how)
	if len(problems) > 0 {
		return nil, nil, refused(problems)
	}
	docs, catalogs, problems := readAll(fsys, found, how)
	if len(problems) > 0 {
		return nil, nil, refused(problems)
	}
	problems, err := compileAll(docs, how)
	if err != nil {
		return nil, nil, err
	}
	if len(problems) > 0 {
		return nil, nil, pointed(fsys, problems)
	}
	set, problems := assemble(docs, catalogs)
	if len(problems) > 0 {
		return nil, nil, refused(problems)
	}
	set.version = digest(found)
	how.memory.settle()
	return set, docs, nil
}

// find lists the documents of a set in the order of their names.
func find(fsys fs.FS, how loading) ([]source, []Problem) {
	var found []source
	var problems []Problem
	fail := func(file, format string, args ...any) {
		problems = append(problems, Problem{File: bounded(file), Message: fmt.Sprintf(format, args...)})
	}
	err := fs.WalkDir(fsys, ".", func(file string, e fs.DirEntry, err error) error {
		how.pace.turn(aLook)
		switch {
		case err != nil:
			fail(file, "cannot be read")
			return fs.SkipDir
		case file == ".":
			return nil
		case strings.HasPrefix(e.Name(), "."):
			return skip(e)
		case len(found) >= maxFiles || len(problems) >= maxProblems:
			return fs.SkipAll
		}
		if why := misnamed(file, e); why != "" {
			fail(file, "%s", why)
			return skip(e)
		}
		if !e.IsDir() && !strings.HasSuffix(file, testSuffix) {
			found = append(found, source{file: file, kind: kindByName(e.Name())})
		}
		return nil
	})
	switch {
	case err != nil:
		fail(".", "cannot be read")
	case len(found) >= maxFiles:
		fail(".", "more than %d documents", maxFiles)
	case len(problems) == 0 && !slices.ContainsFunc(found, func(s source) bool { return s.kind == aLeaf }):
		fail(".", "no policy document: a set needs at least one leaf")
	}
	return found, problems
}

func skip(e fs.DirEntry) error {
	if e.IsDir() {
		return fs.SkipDir
	}
	return nil
}

// misnamed says why a directory entry cannot be part of a set.
func misnamed(file string, e fs.DirEntry) string {
	switch {
	case e.Type()&fs.ModeSymlink != 0:
		return "symbolic links are not followed"
	case !e.IsDir() && !e.Type().IsRegular():
		return "not a regular file"
	case !e.IsDir() && strings.HasSuffix(e.Name(), ".yml"):
		return "policy documents end in .yaml, not .yml"
	case !e.IsDir() && !strings.HasSuffix(e.Name(), suffix):
		return "not a policy document: only .yaml files belong in the tree"
	case !validName(e.Name()) || !validName(strings.TrimSuffix(e.Name(), suffix)):
		return "a name is made of letters, digits, and . _ - inside"
	case len(file) >= maxPath:
		return "the path is too long"
	}
	return ""
}

// readAll reads and parses the documents, and notes the digest of each.
func readAll(fsys fs.FS, found []source, how loading) ([]*document, []*catalogFile, []Problem) {
	docs, catalogs, problems := make([]*document, len(found)), make([]*catalogFile, len(found)), make([][]Problem, len(found))
	var total atomic.Int64
	how.parallel(len(found), func(i int) {
		s := &found[i]
		if total.Load() > maxSet {
			return
		}
		data, err := yamldoc.ReadFile(fsys, s.file, yamlLimits)
		if err != nil {
			problems[i] = []Problem{{File: s.file, Message: "cannot be read"}}
			return
		}
		total.Add(int64(len(data)))
		s.sum = sha256.Sum256(data)
		if s.kind == aCatalog {
			catalogs[i], problems[i] = parseCatalog(s.file, data)
			return
		}
		if docs[i] = how.memory.find(s); docs[i] != nil {
			return
		}
		at := "/" + s.file // one text for both names
		docs[i], problems[i] = parseDocument(at[1:], strings.TrimSuffix(at, suffix), s.kind == aGuardrail, data)
		how.pace.turn(aParse)
	})
	if total.Load() > maxSet {
		return nil, nil, []Problem{{File: ".", Message: fmt.Sprintf("the set is larger than %d bytes", maxSet)}}
	}
	how.memory.keep(found, docs)
	docs = slices.DeleteFunc(docs, func(d *document) bool { return d == nil })
	catalogs = slices.DeleteFunc(catalogs, func(c *catalogFile) bool { return c == nil })
	return docs, slices.Clip(catalogs), slices.Concat(problems...)
}

// digest is the version of a set: the hash of the names and contents of its documents.
func digest(found []source) string {
	slices.SortFunc(found, func(a, b source) int { return strings.Compare(a.file, b.file) })
	h := sha256.New()
	for _, s := range found {
		io.WriteString(h, canon.Key(s.file, string(s.sum[:])))
	}
	return "sha256:" + hex.EncodeToString(h.Sum(nil))
}

// parent returns the directory of a slash-separated path; "." for the root.
func parent(file string) string { return path.Dir(file) }
