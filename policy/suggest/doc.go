// Package suggest finds what a policy set grants and nobody needs, and proposes to take it away.
//
// The evidence is what a boundary has recorded: which rule granted what, which tokens were derived from which, and what
// resources reported of the use of tokens (tokenboundary.Governor.ReportUsage). Silence proves nothing where nobody
// reports: a scope counts as unused only at resources that reported the use of some token, in the time from their first
// report to their last. A use whose scopes are not known is one of every scope that the token has, and a use of a token is
// one of everything that it was derived from.
//
// What is found comes as a patch to the text of the documents, for a person to review; Run writes nothing. Before it
// proposes anything, it asks every recorded decision again: under the patched set, each must still grant what was used of
// it, for as long as it was used, to the clients that derived from it; and none may grant anything that it does not grant
// now. An edit that fails this, or that cannot be made without touching more of the text, is left to the person as a line
// of text.
package suggest
