# Reads a preprocessed sexton.h and writes a C file that defines every function which it declares, with an empty body.
# Compiled with debug information it says of each function what the header says, whatever compiled the library itself.
BEGIN { print "#include <sexton.h>" }

# Line markers tell which file a line is from; only the header's own count.
/^# [0-9]+ "/ { ours = ($3 ~ /sexton\.h"$/); next }
!ours { next }

{
  for (i = 1; i <= length($0); i++) {
    c = substr($0, i, 1)
    if (c == "{") depth++
    if (c == "}") depth--
    if (c == ";" && depth == 0) {
      emit(statement)
      statement = ""
    } else {
      statement = statement c
    }
  }
  statement = statement " "
}

# A statement at the top of the header is a type or a function.
function emit(text) {
  sub(/^[ \t]+/, "", text)
  if (text !~ /^(typedef|struct|enum|union)[ \t]/ || text ~ /^struct [a-z_]+ \**sexton_[a-z_]+\(/) {
    if (text ~ /sexton_[a-z_]+[ \t]*\(/) print text " { __builtin_trap(); }"
  }
}
