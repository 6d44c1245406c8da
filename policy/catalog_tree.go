package policy

import "fmt"

// catalogs are the catalogs of a set.
type catalogs struct {
	files    map[string]*catalogFile // by directory
	made     map[string]*catalog
	problems []Problem
}

// newCatalogs puts the files together, from the root down.
func newCatalogs(files []*catalogFile) *catalogs {
	c := &catalogs{files: map[string]*catalogFile{}, made: map[string]*catalog{}}
	for _, f := range files {
		c.files[parent(f.file)] = f
	}
	for _, f := range files {
		c.at(parent(f.file))
	}
	return c
}

// at returns the catalog of a directory.
func (c *catalogs) at(dir string) *catalog {
	if len(c.files) == 0 {
		return nil
	}
	if made, ok := c.made[dir]; ok {
		return made
	}
	var made *catalog
	if dir != "." {
		made = c.at(parent(dir))
	}
	if f := c.files[dir]; f != nil {
		c.distinct(f, made)
		made = below(made, f)
	}
	c.made[dir] = made
	return made
}

// below adds a file to what those above it say.
func below(above *catalog, f *catalogFile) *catalog {
	c := &catalog{catalogFile: f, above: above, names: map[string]bool{}}
	c.lists, c.gives = len(f.resources) > 0, len(f.connections) > 0
	if above != nil {
		c.lists, c.gives = c.lists || above.lists, c.gives || above.gives
	}
	for _, d := range f.resources {
		for i := range d.scopes {
			c.names[d.scopes[i].name] = true
		}
	}
	return c
}

// distinct refuses a file that says again what one above it says: a directory could otherwise be made to mean less than
// what stands above it.
func (c *catalogs) distinct(f *catalogFile, above *catalog) {
	for up := above; up != nil; up = up.above {
		for id, d := range f.resources {
			if other := up.resources[id]; other != nil {
				c.again(f.file, d.line, "resources: "+bounded(id), up.file, other.line)
			}
		}
		for name, o := range f.connections {
			if other := up.connections[name]; other != nil {
				c.again(f.file, o.line, "connections: "+bounded(name), up.file, other.line)
			}
		}
	}
}

func (c *catalogs) again(file string, line int, what, above string, there int) {
	c.problems = append(c.problems, Problem{
		File: file, Line: line, Message: fmt.Sprintf("%s is described by %s:%d already", what, above, there),
	})
}
