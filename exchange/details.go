package exchange

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"time"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/internal/canon"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// typeTask is the type of the authorization_details entry that asks for a task.
const typeTask = "task"

func badDetails(why string) *Error {
	return refuse(tokenboundary.CodeInvalidDetails, "authorization_details "+why)
}

// parseDetails splits an authorization_details parameter (RFC 9396, section 2) into the task it asks for, if it does,
// and the remaining entries as one canonical array; nil where there are none.
func parseDetails(param string) (*tokenboundary.TaskSpec, json.RawMessage, error) {
	if param == "" {
		return nil, nil, nil
	}
	if len(param) > canon.MaxDetails {
		return nil, nil, badDetails("is too long")
	}
	raw, err := canon.JSON([]byte(param))
	if err != nil {
		return nil, nil, badDetails("is not acceptable JSON")
	}
	entries, isArray := canon.Elements(raw)
	if !isArray {
		return nil, nil, badDetails("is not an array")
	}
	var task *tokenboundary.TaskSpec
	var rest [][]byte
	for _, entry := range entries {
		kind, err := typeOf(entry)
		switch {
		case err != nil:
			return nil, nil, err
		case kind != typeTask:
			rest = append(rest, entry)
			continue
		case task != nil:
			return nil, nil, badDetails("asks for more than one task")
		}
		if task, err = parseTask(entry); err != nil {
			return nil, nil, err
		}
	}
	switch {
	case len(rest) == 0:
		return task, nil, nil
	case task == nil:
		return nil, raw, nil
	}
	return task, slices.Concat([]byte{'['}, bytes.Join(rest, []byte{','}), []byte{']'}), nil
}

// typeOf returns the type of an entry.
func typeOf(entry json.RawMessage) (string, error) {
	if entry[0] != '{' {
		return "", badDetails("has an entry that is not an object")
	}
	kind, ok := canon.Text(canon.Field(entry, "type"))
	if !ok || canon.Name(kind) != nil {
		return "", badDetails("has an entry without a type")
	}
	return kind, nil
}

// parseTask reads the entry that asks for a task. A member it does not know is refused, not ignored: it may have been
// meant to bound the task.
func parseTask(entry json.RawMessage) (*tokenboundary.TaskSpec, error) {
	members, err := canon.Object(entry)
	if err != nil {
		return nil, badDetails("is not acceptable JSON")
	}
	var spec tokenboundary.TaskSpec
	if members.Get("purpose") == nil {
		return nil, badDetails("asks for a task without a purpose")
	}
	for _, m := range members {
		value, ok := m.Value, true
		switch m.Name {
		case "type":
		case "purpose":
			spec.Purpose, ok = canon.Text(value)
			ok = ok && canon.Name(spec.Purpose) == nil
		case "expires_in":
			var n uint64
			n, ok = integer(value, 32)
			ok = ok && n > 0
			spec.ExpiresIn = time.Duration(n) * time.Second // 32 bits of seconds fit a Duration
		case "max_derivations":
			var n uint64
			n, ok = integer(value, 63)
			spec.MaxDerivations = &n
		case "context":
			spec.Context, ok = value, value[0] == '{' // in canonical form, like all of it
		case "authority":
			spec.Authority, ok = parseAuthority(value)
		default:
			return nil, badDetails("asks for a task with an unknown member")
		}
		if !ok {
			return nil, badDetails("asks for a task with a bad " + m.Name)
		}
	}
	return &spec, nil
}

// parseAuthority reads what a task may do: at least one resource, each with at least one scope.
func parseAuthority(raw json.RawMessage) ([]lineage.Access, bool) {
	var entries []json.RawMessage
	if json.Unmarshal(raw, &entries) != nil || len(entries) == 0 || len(entries) > canon.MaxResources {
		return nil, false
	}
	out := make([]lineage.Access, 0, len(entries))
	for _, e := range entries {
		members, err := canon.Object(e)
		if err != nil || len(members) != 2 {
			return nil, false
		}
		resource, ok := canon.Text(members.Get("resource"))
		if !ok || resource == "" || len(resource) > canon.MaxResource {
			return nil, false
		}
		scopes, ok := scopeList(members.Get("scopes"))
		if !ok {
			return nil, false
		}
		out = append(out, lineage.Access{Resource: resource, Scopes: scopes})
	}
	return out, true
}

// scopeList reads an array of scopes, at least one.
func scopeList(raw json.RawMessage) ([]string, bool) {
	// In a list of strings, null is the empty string, and neither is a scope.
	list := make([]string, 0, min(bytes.Count(raw, []byte{','})+1, canon.MaxScopes))
	if len(raw) == 0 || raw[0] != '[' || json.Unmarshal(raw, &list) != nil || len(list) == 0 || len(list) > canon.MaxScopes {
		return nil, false
	}
	for _, s := range list {
		if canon.Scope(s) != nil {
			return nil, false
		}
	}
	return slices.Clip(list), true
}

// integer reads a whole number that is not negative, written without fraction or exponent.
func integer(raw json.RawMessage, bits int) (uint64, bool) {
	n, err := strconv.ParseUint(string(raw), 10, bits)
	return n, err == nil
}
