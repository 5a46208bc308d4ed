"""Public regressions, each from a CSV file in one command, to the last digit that R or Stata prints.

The files in ``regressions/`` hold

- ``spector.csv``: Spector and Mazzeo 1980, Greene, *Econometric Analysis*, table F21.1. Logit and probit by Stata 11, as the
  tests of statsmodels have them (``statsmodels/discrete/tests/results/results_discrete.py``).
- ``warpbreaks.csv``: R's ``datasets::warpbreaks``, as in Rdatasets. R's ``summary(glm(breaks ~ wool + tension, poisson))``.
- ``rod93.csv``: deaths of children by cohort and age, Rodríguez 1985, of which Stata's manual has ``nbreg deaths i.cohort``.
- ``puromycin.csv``: R's ``datasets::Puromycin``, Bates and Watts 1988, appendix A1.3. R's ``summary(nls(rate ~
  Vm*conc/(K + conc)))`` of the treated, as *An Introduction to R*, section 11.7, prints it.

Errors are by the observed information, as Stata has them. R's ``glm`` takes the expected one, which is the same for logit
and Poisson, but not for probit.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

DATA = Path(__file__).parent / "regressions"

SPECTOR = 'constant X = load("spector.csv", "GPA,TUCE,PSI"); constant y = load("spector.csv", "GRADE")' \
    "; variable b = zeros([3]); variable a = 0.0; eta = X @ b + a"  # fmt: skip

PRINTED = {
    "logit": (
        f"{SPECTOR}; loss = sum(softplus(eta) - y*eta)", ["--loglik"],
        {"b[0]": ("2.82611297201", "1.26294114526"), "b[1]": (".0951576702557", ".141554207662"),
         "b[2]": ("2.37868772835", "1.06456430165"), "a": ("-13.0213483201", "4.93132462871")},
        1e-6,
    ),
    "probit": (
        f"{SPECTOR}; loss = -sum(log_ndtr((2*y - 1)*eta))", ["--loglik"],
        {"b[0]": ("1.62581025407", ".693882522754"), "b[1]": (".051728948442", ".083890261293"),
         "b[2]": ("1.42633236818", ".595037920474"), "a": ("-7.45232041607", "2.54247249731")},
        1e-6,
    ),
    "Poisson": (
        'constant X = load("warpbreaks.csv", "wool=B,tension=M,tension=H"); constant y = load("warpbreaks.csv", "breaks")'
        "; variable b = zeros([3]); variable a = 3.0; eta = X @ b + a; loss = sum(exp(eta) - y*eta)", ["--loglik"],
        {"a": ("3.69196", "0.04541"), "b[0]": ("-0.20599", "0.05157"), "b[1]": ("-0.32132", "0.06027"),
         "b[2]": ("-0.51849", "0.06396")},
        0,
    ),
    "negative binomial": (
        'constant X = load("rod93.csv", "cohort[]")[:, 1:]; constant y = load("rod93.csv", "deaths")'
        "; variable b = zeros([2]); variable a = 4.0; variable lnalpha = 0.0; alpha = exp(lnalpha); r = 1/alpha"
        "; mu = exp(X @ b + a); loss = -sum(lgamma(y + r) - lgamma(r) - r*log1p(alpha*mu) + y*log(alpha*mu/(1 + alpha*mu)))",
        ["--loglik", "--of", "alpha"],
        {"b[0]": (".0591305", ".2978419"), "b[1]": ("-.0538792", ".2981621"), "a": ("4.435906", ".2107213"),
         "lnalpha": ("-1.207379", ".3108622"), "alpha": (".29898", ".0929416")},
        0,
    ),
    "Michaelis and Menten": (
        'constant treated = load("puromycin.csv", "conc,rate")[:12]; variable Vm = 200.0; variable K = 0.05'
        "; loss = sum((treated[:, 1] - Vm*treated[:, 0]/(K + treated[:, 0]))^2)", ["--errors"],
        {"Vm": ("2.127e+02", "6.947e+00"), "K": ("6.412e-02", "8.281e-03")},
        0,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PRINTED)
def test_as_printed(gradcli, tmp_path, name):
    text, options, printed, tolerance = PRINTED[name]
    for path in DATA.iterdir():
        shutil.copy(path, tmp_path)
    done = gradcli("fit", "-e", text, "--minimize", "loss", *options, "--format", "json")
    assert done.status == 0
    assert "no minimum" not in done.err
    reply = json.loads(done.out)
    for entry, texts in printed.items():
        variable, _, index = entry.rstrip("]").partition("[")
        for found, shown in zip((reply["values"][variable]["value"], reply["errors"][variable]["error"]), texts, strict=True):  # fmt: skip
            number = found[int(index)] if index else found
            if tolerance:
                assert number == pytest.approx(float(shown), rel=tolerance)
            else:
                assert abs(number - float(shown)) <= 0.5000001 * last_place(shown)


def last_place(text: str) -> float:
    """What the last digit of a number counts: 0.001 in ``1.234``, 0.1 in ``2.127e+02``."""
    digits, _, power = text.partition("e")
    return float(f"1e{int(power or 0) - len(re.sub(r'.*[.]', '', digits) if '.' in digits else '')}")
