// What pybind11 makes: classes with and without a __dict__, functions, members that are objects.
#include <pybind11/pybind11.h>

#include <string>
#include <vector>

namespace py = pybind11;

struct __attribute__((visibility("hidden"))) Pet {
	std::string name;
	py::object owner;
	std::vector<py::object> toys;
};

struct __attribute__((visibility("hidden"))) Dog : Pet {
	virtual ~Dog() = default;
};

PYBIND11_MODULE(pbext, m)
{
	py::class_<Pet>(m, "Pet", py::dynamic_attr())
		.def(py::init<>())
		.def_readwrite("name", &Pet::name)
		.def_readwrite("owner", &Pet::owner)
		.def("add", [](Pet &p, py::object o) { p.toys.push_back(o); });
	py::class_<Dog>(m, "Dog").def(py::init<>()).def("own", [](Dog &d, py::object o) { d.owner = o; });
	m.def("call", [](py::function f) { return f(); }, py::arg("f"), "calls it");
	m.def("keep", [](py::object a, py::object) { return a; }, py::keep_alive<1, 2>());
}
