// Takes steps one after another, and prints what each returned, one JSON object a line.
'use strict';

/** Takes one step: prints its name, the error that the library reported or null, and what the step returned. */
exports.step = async (name, body) => {
  let line;
  try {
    line = { step: name, error: null, ...await body() };
  } catch (error) {
    line = { step: name, error: { status: error.statusCode, message: error.message } };
  }
  console.log(JSON.stringify(line));
  return line;
};
