package canon

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Scope reports whether s is one scope token (RFC 6749, section 3.3) within the limits.
func Scope(s string) error {
	if s == "" {
		return errors.New("empty scope")
	}
	if len(s) > MaxScope {
		return errors.New("scope too long")
	}
	for i := range len(s) {
		if c := s[i]; c < 0x21 || c > 0x7e || c == '"' || c == '\\' {
			return errors.New("scope has a forbidden character")
		}
	}
	return nil
}

// Scopes returns the set that list names: each a valid scope token, sorted, without repeats.
func Scopes(list []string) ([]string, error) {
	if len(list) > MaxScopes {
		return nil, errors.New("too many scopes")
	}
	for _, s := range list {
		if err := Scope(s); err != nil {
			return nil, err
		}
	}
	return sortedSet(slices.Clone(list)), nil
}

// ParseScope reads the value of a scope parameter: scope tokens separated by single spaces.
func ParseScope(param string) ([]string, error) {
	if param == "" {
		return nil, nil
	}
	if len(param) > MaxScopes*(MaxScope+1) {
		return nil, errors.New("scope parameter too long")
	}
	if strings.Count(param, " ") >= MaxScopes {
		return nil, errors.New("too many scopes")
	}
	out, err := Scopes(strings.Split(param, " "))
	if err != nil {
		return nil, fmt.Errorf("scope parameter: %w", err)
	}
	return out, nil
}

func sortedSet(list []string) []string {
	slices.Sort(list)
	return slices.Compact(list)
}
