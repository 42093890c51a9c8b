// Package simulate makes up access logs of a site with days of honest traffic
// and campaigns in it, and says of every line who sent it.
package simulate
