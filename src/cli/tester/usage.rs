//! What `fail2ban-regex --help` says.

/// The version of Fail2Ban's interface that is spoken.
pub(super) const VERSION: &str = "1.1.0";

/// The first line of it.
pub(super) const SYNTAX: &str = "Usage: fail2ban-regex [OPTIONS] LOG REGEX [IGNOREREGEX]\n";

const TEXT: &str = "
Tries the regular expressions of a filter on a log: which lines match, and who
it would have been. Nothing is banned, and no server is asked.

LOG is one of
  a file             /var/log/auth.log
  the journal        systemd-journal, or systemd-journal[journalpath=/var/log/journal]
  the lines themselves, with line ends between them

REGEX is one of
  a regular expression, which says by <HOST> who failed
  a jail or a filter of the configuration   sshd, sshd[mode=aggressive]
  a filter's file                           filter.d/sshd.conf

IGNOREREGEX is a regular expression: lines that it matches are no failures.

Configuration:
  -c, --config DIR          where jails and filters are [/etc/fail2ban]
  -d, --datepattern TEXT    how dates are written, instead of the filter's
      --TZ, --timezone ZONE the zone of dates that name none, as UTC+0200
  -e, --encoding NAME       how the log is encoded [UTF-8]
  -L, --maxlines N          lines that an expression may span; the lists below are
                            cut at so many, too
      --usedns WORD         yes, warn, no or raw: what becomes of host names
  -r, --raw                 host names are taken as they are, as with --usedns=raw
  -m, --journalmatch TEXT   which entries of the journal, instead of the filter's
      --no-check-all        stop at the first expression that matches a line

What is printed:
  -o, --out FORMAT          one line for each failure and nothing else: row, id, ip,
                            msg, the name of a group, or a text with <ip>, <msg>,
                            <time>, <F-USER> and so on
  -i, --invert              print the lines that are no failures, and nothing else
      --json                everything as one JSON object
      --print-no-missed     no list of lines that nothing matched
      --print-no-ignored    no list of lines that are no failures
      --print-all-matched   list the lines that matched
      --print-all-missed    list missed lines, however many there are
      --print-all-ignored   list ignored lines, however many there are
  -v, --verbose             every expression, with who matched it and when; twice:
                            the options of the filter, too
      --verbosity N         the same as so many -v
      --VD, --verbose-date  the expressions of dates
  -D, --debuggex            links by which debuggex.com draws the expressions

Others:
  -l, --log-level LEVEL     read and passed over, as there is no log
  -t, --log-traceback, --full-traceback
                            the same
  -V                        the version, for programs
      --version             the version, with the name
  -h, --help                this text

Exit codes: 0 tried, whatever was found; 255 not tried; 2 wrong options.
";

pub(super) fn help() -> String {
    format!("{SYNTAX}{TEXT}")
}
