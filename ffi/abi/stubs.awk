# Reads a preprocessed sexton.h and writes a C file that defines each declared function with a stub body. Its debug
# information then has the types of the header.
BEGIN { print "#include <sexton.h>" }

# Line markers name the file of the lines that follow. Only lines of the header itself are used.
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

# Writes a stub if a top-level statement declares a function. Other statements are types.
function emit(text) {
  sub(/^[ \t]+/, "", text)
  if (text !~ /^(typedef|struct|enum|union)[ \t]/ || text ~ /^struct [a-z_]+ \**sexton_[a-z_]+\(/) {
    if (text ~ /sexton_[a-z_]+[ \t]*\(/) print text " { __builtin_trap(); }"
  }
}
