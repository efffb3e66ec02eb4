//go:build !oracle

package analysis

// vectors is where the numbers of other libraries lie, which testdata/oracle.py wrote.
const vectors = "testdata/"
